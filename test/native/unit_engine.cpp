// Whole engines on a made-up model: alone, and two at once in threads of their own over one mapped file.
#include <array>
#include <cstring>
#include <limits>
#include <thread>

#include "device_backend.h"
#include "error_code.h"
#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

const ModelSpec kSpec = tiny_spec({.vocab = 97, .dim = 32, .mlp = 80, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8});

// Losses, norms and adapter of some steps, with dropout, and a little text.
std::vector<float> train(const TinyModel& model, DType act, int64_t threads, uint64_t seed, int64_t checkpointed = 0, const char* without = nullptr,
                         std::unique_ptr<Backend> backend = nullptr) {
  AdapterSpec spec = {.rank = 3, .alpha = 6, .dropout = 0.1, .targets = model.targets, .seed = seed};
  if (without) std::erase_if(spec.targets, [&](const std::string& name) { return name.find(without) != std::string::npos; });
  const EngineOptions options = {.act = act, .threads = threads, .max_tokens = 64, .max_sequence = 48, .cache_tokens = 48, .training = true, .checkpointed_blocks = checkpointed};
  LoadProgress progress;
  Engine engine(model.source, {spec}, options, progress, std::move(backend));
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
  const TinyModel model(kSpec, random_values(5));
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
    for (const char* site : {"down_proj", "mlp.", "layers.0.", "layers.1."}) {
      report.expect(same(train(model, act, 1, 1, 0, site), train(model, act, 2, 1, layers, site)), label + " has them without adapters of " + site, "");
    }

    // No host pointer reaches an operation, and nothing but operations, uploads and downloads touches the backend's memory.
    for (const int64_t checkpointed : {int64_t(0), layers}) {
      const auto on_device = train(model, act, 2, 1, checkpointed, nullptr, std::make_unique<DeviceBackend>(2));
      report.expect(same(alone, on_device), label + " has the same bits on a device with " + std::to_string(checkpointed) + " checkpointed blocks");
    }

    std::array<std::vector<float>, 2> at_once;
    std::thread first([&] { at_once[0] = train(model, act, 2, 1); }), second([&] { at_once[1] = train(model, act, 2, 2); });
    first.join();
    second.join();
    report.expect(same(at_once[0], alone) && same(at_once[1], other), label + ": two at once have the bits of one after the other");
  }
}

// The operations that train() does not use.
void test_device(Report& report) {
  const TinyModel model(kSpec, random_values(5));
  const AdapterSpec spec = {.rank = 64, .alpha = 6, .targets = model.targets, .seed = 1};  // large enough for moments in 8 bits
  const EngineOptions options = {.threads = 2, .max_tokens = 64, .max_sequence = 48, .training = true, .adamw_8bit = true};
  std::vector<std::vector<float>> found;
  for (const bool is_device : {false, true}) {
    LoadProgress progress;
    Engine engine(model.source, {spec}, options, progress, is_device ? std::make_unique<DeviceBackend>(2) : nullptr);
    const Batch batch = batch_of(3, model.source.spec.vocab);
    for (uint64_t step = 0; step < 2; step++) {
      engine.forward_backward(batch, 1.0 / 53, step);
      engine.adapter().step({.learning_rates = {1e-2f}, .max_grad_norm = 1});
    }
    const int added = engine.add_adapter({.rank = 96, .alpha = 1, .dropout = 0.5, .targets = {model.targets[0]}, .seed = 2});
    engine.forward_backward(batch, 1, 0, added);
    found.push_back(engine.logits(batch));
    found.back().push_back(float(engine.evaluate(batch, kNoAdapter)));
    for (const uint8_t byte : engine.merged_weight(model.targets[1])) found.back().push_back(float(byte));
    const AdapterSlot& slot = engine.adapter();
    const MomentPart& last = slot.moments().back();
    std::vector<uint8_t> moments(size_t(last.v_max + last.blocks * 4));
    slot.moment_bytes().read(0, int64_t(moments.size()), moments.data());
    found.back().insert(found.back().end(), moments.begin(), moments.end());
    report.expect(engine.matmul_peak() > 0, "unit: a product's speed is measured");
  }
  report.expect(same(found[0], found[1]), "unit: logits, 8-bit AdamW, merging and a second adapter are the same on a device");
}

// What a merge would write as infinity is an error.
void test_merge_range(Report& report) {
  ModelSpec spec = kSpec;
  for (LinearSpec& l : spec.block.attention.inputs) l.bias = true;
  const TinyModel model(spec, random_values(5));
  const AdapterSpec adapter = {.rank = 2, .alpha = 2, .bias = true, .targets = model.targets, .seed = 1};
  LoadProgress progress;
  Engine engine(model.source, {adapter}, {.max_tokens = 64, .max_sequence = 48}, progress);
  AdapterSlot& slot = engine.adapter();
  const AdapterSite& site = slot.layout().sites()[0];
  const auto code = [&](float of_b, DType type) {
    slot.parameters().write(site.bias_offset * 4, 4, &of_b);
    return code_of([&] { engine.merged_bias(site.name, type); });
  };
  report.expect(code(60'000, DType::f16).empty() && code(70'000, DType::bf16).empty(), "unit: a merged bias that its type holds");
  report.expect(code(70'000, DType::f16) == "E_NAN" && code(std::numeric_limits<float>::infinity(), DType::f32) == "E_NAN", "unit: one beyond its type's range is an error");
}

// Where the system refuses the buffers of a larger adapter, the adapters before it go on.
void test_refused_buffers(Report& report) {
  const TinyModel model(kSpec, random_values(5));
  const AdapterSpec spec = {.rank = 2, .alpha = 6, .targets = model.targets, .seed = 1};
  const EngineOptions options = {.max_tokens = 64, .max_sequence = 48, .training = true};
  LoadProgress progress;
  auto owned = std::make_unique<DeviceBackend>(1);
  DeviceBackend& device = *owned;
  Engine engine(model.source, {spec}, options, progress, std::move(owned));
  const Batch batch = batch_of(3, model.source.spec.vocab);
  const double before = engine.evaluate(batch);
  const AdapterSpec larger = {.rank = 300, .alpha = 6, .targets = {model.targets[0]}, .seed = 1};
  int64_t buffers = 0;
  for (const MemoryItem& item : plan_memory(model.source, {spec}, options)) {
    if (item.name == "activations" || item.name == "buffers" || item.name == "workspace") buffers += item.bytes;
  }
  device.most_bytes = buffers + (64 << 10);
  report.expect(code_of([&] { engine.add_adapter(larger); }) == "E_MEMORY", "unit: buffers that the system refuses are an error");
  report.expect(engine.evaluate(batch) == before, "unit: the adapters before go on");
  device.most_bytes = buffers / 2;
  report.expect(code_of([&] { engine.add_adapter(larger); }) == "E_MEMORY", "unit: so are buffers that cannot be made again");
  report.expect(code_of([&] { engine.evaluate(batch); }) == "E_MEMORY" && code_of([&] { engine.forward_backward(batch, 1, 0); }) == "E_MEMORY" &&
                    code_of([&] { engine.matmul_peak(); }) == "E_MEMORY",
                "unit: passes without buffers are errors");
  device.most_bytes = std::numeric_limits<int64_t>::max();
  engine.add_adapter(larger);
  report.expect(engine.evaluate(batch) == before, "unit: an adapter that finds memory brings the buffers back");
}

}  // namespace lowrank::test
