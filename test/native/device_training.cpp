// Whole engines on a device against the CPU: losses, gradients and text; the same bits of every repetition.
#include <cmath>
#include <cstring>

#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

struct Kind {
  const char* name;
  ModelSpec spec;
  bool few_targets = false;  // q_proj and v_proj, bordered: several layers have their inputs in the same buffer, and nothing between has an adapter
};

std::vector<Kind> kinds() {
  const TinySizes sizes = {.vocab = 97, .dim = 32, .mlp = 80, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8};
  ModelSpec capped = tiny_spec(sizes);
  capped.logit_cap = 3;
  capped.embedding_scale = 4;
  capped.block.attention.soft_cap = 2;
  capped.block.attention.kinds.resize(2);
  capped.block.attention.kinds[0].window = 5;
  capped.block.attention.layer_kinds = {0, 1};
  capped.block.mlp.activation = Activation::gelu_tanh;
  capped.block.mlp.residual.norm.weight = "post_mlp_norm.weight";
  return {{"separate heads", tiny_spec(sizes)}, {"fused heads", tiny_spec(sizes, HeadLayout::grouped)}, {"capped, windows", capped}, {"q_proj and v_proj", tiny_spec(sizes), true}};
}

struct Trained {
  std::vector<float> numbers;  // losses and norms
  std::vector<float> gradients, parameters;
  std::vector<int32_t> text;
};

Trained train(const TinyModel& model, DType act, bool adamw_8bit, std::unique_ptr<Backend> backend) {
  const AdapterSpec spec = {.rank = 3, .alpha = 6, .dropout = 0.1, .targets = model.targets, .seed = 7};
  const EngineOptions options = {.act = act, .threads = 1, .max_tokens = 64, .max_sequence = 48, .cache_tokens = 48, .training = true, .adamw_8bit = adamw_8bit, .checkpointed_blocks = 1};
  LoadProgress progress;
  Engine engine(model.source, {spec}, options, progress, std::move(backend));
  Trained t;
  const size_t n = size_t(engine.trainable_parameters());
  t.gradients.resize(n);
  t.parameters.resize(n);
  for (uint64_t step = 0; step < 3; step++) {
    const Batch b = batch_of(100 + step, model.source.spec.vocab);
    engine.forward_backward(b, 1.0 / 53, step);
    // B is zero at first: the gradients of the last step are all of interest.
    engine.adapter().gradients().read(0, int64_t(n) * 4, t.gradients.data());
    engine.adapter().step({.learning_rates = {1e-2f}, .max_grad_norm = 1, .tokens = 53});
    const StepState state = engine.adapter().read();
    t.numbers.insert(t.numbers.end(), {float(state.loss), float(state.norm), float(engine.evaluate(b))});
  }
  engine.adapter().parameters().read(0, int64_t(n) * 4, t.parameters.data());
  t.text.push_back(engine.generate_start({1, 2, 3, 4, 5}, {}));
  for (int i = 0; i < 5; i++) t.text.push_back(engine.generate_next(t.text.back()));
  return t;
}

// |a - b| / |b|
double apart(const std::vector<float>& a, const std::vector<float>& b) {
  double off = 0, all = 0;
  for (size_t i = 0; i < b.size(); i++) {
    off += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    all += double(b[i]) * double(b[i]);
  }
  return a.size() == b.size() ? std::sqrt(off / all) : INFINITY;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0; }

}  // namespace

void test_device_training(const DevicePlugin& plugin, const Options& o, Report& report) {
  int64_t number = 0, kind_and_how = 0;
  for (const Kind& kind : kinds()) {
    TinyModel model(kind.spec, random_values(5));
    if (kind.few_targets) std::erase_if(model.targets, [](const std::string& name) { return !name.ends_with("q_proj") && !name.ends_with("v_proj"); });
    TinyModel in_bf16(kind.spec, random_values(5), Format::bf16);
    in_bf16.targets = model.targets;
    for (const DType act : {DType::f32, DType::bf16}) {
      for (const char* how : {"", ", adamw_8bit", ", bordered", ", bordered weights in bf16"}) {
        const bool adamw_8bit = std::string(how) == ", adamw_8bit", stored = std::string(how).ends_with("in bf16");
        const bool bordered = std::string(how).starts_with(", bordered");
        if ((adamw_8bit && act == DType::bf16) || (stored && act == DType::f32) || (kind.few_targets && !bordered)) continue;
        if ((o.few() && kind_and_how++ % 5 != 0) || !o.mine(number++)) continue;  // of five, each kind and each way among them
        const InForm form(bordered);
        const std::string label = "device: training, " + std::string(kind.name) + ", " + dtype_name(act) + how;
        const TinyModel& its = stored ? in_bf16 : model;
        const Trained cpu = train(its, act, adamw_8bit, nullptr), device = train(its, act, adamw_8bit, plugin.make(0));
        // Three steps of a tiny model in f32 leave the sums' roundings; bf16 has 8 bits, and rounds at places of its own.
        const double most = act == DType::f32 ? 2e-5 : 6e-2;
        for (const auto& [what, found, expected] : {std::tuple{"losses", &device.numbers, &cpu.numbers}, {"gradients", &device.gradients, &cpu.gradients}, {"adapter", &device.parameters, &cpu.parameters}}) {
          const double off = apart(*found, *expected);
          report.expect(off <= most, label + ": " + what, "apart by " + std::to_string(off));
        }
        if (act == DType::f32) report.expect(device.text == cpu.text, label + ": text");
        for (int64_t i = 0; i < (o.few() ? 0 : o.repeats); i++) {
          const Trained again = train(its, act, adamw_8bit, plugin.make(0));
          report.expect(same(again.parameters, device.parameters) && same(again.numbers, device.numbers), label + ": the same bits again");
        }
      }
    }
  }
}

}  // namespace lowrank::test
