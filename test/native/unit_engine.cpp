// Whole engines on a made-up model: alone, and two at once in threads of their own over one mapped file.
#include <array>
#include <cstring>
#include <thread>

#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

// Losses, norms and adapter of some steps, with dropout, and a little text.
std::vector<float> train(const TinyModel& model, DType act, int64_t threads, uint64_t seed, int64_t checkpointed = 0, const char* without = nullptr) {
  AdapterSpec spec = {.rank = 3, .alpha = 6, .dropout = 0.1, .targets = model.targets, .seed = seed};
  if (without) std::erase_if(spec.targets, [&](const std::string& name) { return name.find(without) != std::string::npos; });
  const EngineOptions options = {.act = act, .threads = threads, .max_tokens = 64, .max_sequence = 48, .cache_tokens = 48, .training = true, .checkpointed_blocks = checkpointed};
  LoadProgress progress;
  Engine engine(model.source, {spec}, options, progress);
  std::vector<float> found;
  for (uint64_t step = 0; step < 4; step++) {
    const Batch b = batch_of(seed * 100 + step, model.source.spec.vocab);
    engine.forward_backward(b, 1.0 / 53, step);
    engine.adapter().step({.learning_rates = {1e-2f}, .max_grad_norm = 1});
    const StepState state = engine.adapter().read();
    found.push_back(float(state.loss));
    found.push_back(float(state.norm));
    found.push_back(float(engine.evaluate(b)));
  }
  int32_t token = engine.generate_start({1, 2, 3}, {});
  for (int i = 0; i < 5; i++) found.push_back(float(token = engine.generate_next(token)));
  const size_t before = found.size();
  found.resize(before + size_t(engine.trainable_parameters()));
  engine.adapter().parameters().read(0, engine.trainable_parameters() * 4, found.data() + before);
  return found;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

void test_engine(Report& report) {
  const TinyModel model(tiny_spec({.vocab = 97, .dim = 32, .mlp = 80, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8}), random_values(5));
  for (const DType act : {DType::f32, DType::bf16, DType::f16}) {
    const std::string label = "unit: engine in " + std::string(dtype_name(act));
    const auto alone = train(model, act, 1, 1), other = train(model, act, 1, 2);
    report.expect(alone[9] < alone[0], label + " learns", std::to_string(alone[0]) + " to " + std::to_string(alone[9]));
    report.expect(!same(alone, other), label + " depends on the seed");
    report.expect(same(alone, train(model, act, 3, 1)), label + " has the same bits with 3 threads");
    const int64_t layers = model.source.spec.layers;
    for (int64_t checkpointed = 1; checkpointed <= layers; checkpointed++) {
      const std::string blocks = " has the same bits with " + std::to_string(checkpointed) + " checkpointed blocks";
      report.expect(same(alone, train(model, act, 2, 1, checkpointed)), label + blocks);
    }
    // Less is computed again of such blocks.
    for (const char* site : {"down_proj", "mlp."}) {
      report.expect(same(train(model, act, 1, 1, 0, site), train(model, act, 2, 1, layers, site)), label + " has them without adapters of " + site, "");
    }

    std::array<std::vector<float>, 2> at_once;
    std::thread first([&] { at_once[0] = train(model, act, 2, 1); }), second([&] { at_once[1] = train(model, act, 2, 2); });
    first.join();
    second.join();
    report.expect(same(at_once[0], alone) && same(at_once[1], other), label + ": two at once have the bits of one after the other");
  }
}

}  // namespace lowrank::test
