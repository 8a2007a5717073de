// Whole engines on a made-up model: alone, and two at once in threads of their own over one mapped file.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <thread>

#include "modes.h"
#include "random.h"
#include "tiny_spec.h"
#include "train/engine.h"

namespace lowrank::test {

namespace {

// A tiny LLaMA in a file of bare tensors, removed at the end.
class TinyModel {
 public:
  TinyModel() {
    source.spec = tiny_spec({.vocab = 97, .dim = 32, .mlp = 80, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8});
    const ModelSpec& m = source.spec;
    char path[] = "/tmp/lowrank-unit-XXXXXX";
    const int fd = mkstemp(path);
    file_ = path;
    std::FILE* out = fdopen(fd, "wb");
    Random r(5);
    int64_t offset = 0;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape, float around) {
      int64_t n = 1;
      for (const int64_t d : shape) n *= d;
      std::vector<float> values(static_cast<size_t>(n));
      for (float& v : values) v = around + (float(r.below(2001)) - 1000) / 8000;
      std::fwrite(values.data(), 4, values.size(), out);
      TensorEntry t;
      t.name = name;
      t.file = file_;
      t.shape = std::move(shape);
      t.offset = offset;
      t.bytes = n * 4;
      source.tensors.push_back(std::move(t));
      offset += n * 4;
    };
    add(m.embedding, {m.vocab, m.dim}, 0);
    add(m.final_norm.weight, {m.dim}, 1);
    for (int64_t l = 0; l < m.layers; l++) {
      add(m.name(l, m.block.attention.norm.weight), {m.dim}, 1);
      add(m.name(l, m.block.mlp.norm.weight), {m.dim}, 1);
      for (const LinearSpec* linear : m.block.linears()) {
        targets.push_back(m.name(l, linear->module));
        add(targets.back() + ".weight", {linear->out, linear->in}, 0);
      }
    }
    std::fclose(out);
    source.folder = "/tmp";
  }
  ~TinyModel() { std::remove(file_.c_str()); }

  ModelSource source;
  std::vector<std::string> targets;

 private:
  std::string file_;
};

Batch batch_of(uint64_t seed, int64_t vocab) {
  Random r{seed};
  Batch b;
  b.offsets.push_back(0);
  for (const int64_t length : {17, 1, 30, 9}) {
    for (int64_t i = 0; i < length; i++) b.ids.push_back(int32_t(r.below(uint64_t(vocab))));
    for (int64_t i = 1; i < length; i++) b.targets.push_back(b.ids[b.ids.size() - size_t(length) + size_t(i)]);
    b.targets.push_back(kIgnore);
    b.offsets.push_back(int32_t(b.ids.size()));
  }
  return b;
}

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
    found.push_back(float(engine.forward_backward(b, 1.f / 53, step)));
    found.push_back(float(engine.optimizer_step({.learning_rate = 1e-2f, .max_grad_norm = 1})));
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
  const TinyModel model;
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
