// Copies beside the operations: with inputs of blocks and the embedding in the host's memory a training has the bits that it has without, whichever
// of the device's queues runs ahead of the other.
#include <cstdlib>
#include <cstring>

#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

constexpr const char *kGraphs = "LOWRANK_CUDA_GRAPHS", *kAhead = "LOWRANK_EMULATION_COPIES";
constexpr int64_t kMostTokens = 20;

struct Trained {
  std::vector<float> parameters;
  std::vector<double> losses;
};

// Nothing waits for the device before the end.
Trained train(const TinyModel& model, DType act, bool offloads, const DevicePlugin& plugin) {
  const AdapterSpec spec = {.rank = 2, .alpha = 4, .dropout = 0.25, .targets = model.targets, .seed = 7};
  const EngineOptions options = {.device = "cuda:0",
                                 .act = act,
                                 .threads = 1,
                                 .max_tokens = kMostTokens,
                                 .max_sequence = kMostTokens,
                                 .training = true,
                                 .offload_embedding = offloads,
                                 .offload_checkpoints = offloads,
                                 .checkpointed_blocks = offloads ? model.source.spec.layers : 0};
  LoadProgress progress;
  Engine engine(model.source, {spec}, options, progress, plugin.make(0));
  Trained t;
  for (uint64_t step = 0; step < 2; step++) {
    // Pieces of one shape and of others, and one of which nothing is learned: nothing goes backward.
    engine.forward_backward(batch_of(step, model.source.spec.vocab, {20, 20, 11, 9, 1}), 0.02, step);
    engine.forward_backward(batch_of(50 + step, model.source.spec.vocab, {1}), 0.02, step);
    engine.forward_backward(batch_of(90 + step, model.source.spec.vocab, {20}), 0.02, step);
    engine.adapter().step({.learning_rates = {1e-2f}, .max_grad_norm = 1, .tokens = 53});
  }
  t.parameters.resize(size_t(engine.trainable_parameters()));
  engine.adapter().parameters().read(0, int64_t(t.parameters.size() * sizeof(float)), t.parameters.data());
  t.losses = {engine.adapter().read().loss, engine.evaluate(batch_of(3, model.source.spec.vocab, {20, 20, 7}))};
  return t;
}

bool same(const Trained& a, const Trained& b) {
  return a.losses == b.losses && std::memcmp(a.parameters.data(), b.parameters.data(), a.parameters.size() * sizeof(float)) == 0;
}

}  // namespace

void test_device_copies(const DevicePlugin& plugin, const Options& o, Report& report) {
  ModelSpec spec = tiny_spec({.vocab = 61, .dim = 16, .mlp = 24, .layers = 4, .heads = 2, .kv_heads = 1, .head_dim = 8});
  spec.tied_head = false;
  const TinyModel model(spec, random_values(3));
  int64_t number = 0;
  for (const DType act : {DType::f32, DType::bf16}) {
    if (!o.mine(number++)) continue;
    const Trained expected = train(model, act, false, plugin);
    for (const char* ahead : {"last", "first"}) {
      for (const char* graphs : {"on", "off"}) {
        const bool is_off = std::strcmp(graphs, "off") == 0;
        if (is_off && act == DType::bf16) continue;
        if (!is_off && act == DType::f32 && o.few()) continue;  // in bf16
        setenv(kAhead, ahead, 1);
        setenv(kGraphs, graphs, 1);
        report.expect(same(train(model, act, true, plugin), expected), std::string("device: copies beside operations, ") + dtype_name(act) + ", copies " + ahead + ", graphs " + graphs + ": the same bits");
      }
    }
    unsetenv(kAhead);
    unsetenv(kGraphs);
  }
}

}  // namespace lowrank::test
