// Training steps of made-up models of real shapes on a device: tokens/s, the share of a product's best speed, and memory. Rows for
// docs/gpu-results.md.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

struct Shape {
  const char* name;
  TinySizes sizes;
};
// Of llama-3-8b a quarter of the layers, so that making it up takes no longer than measuring it.
const Shape kShapes[] = {
    {"llama-3.2-1b", {.vocab = 128256, .dim = 2048, .mlp = 8192, .layers = 16, .heads = 32, .kv_heads = 8, .head_dim = 64}},
    {"llama-3-8b, 8 of 32 layers", {.vocab = 128256, .dim = 4096, .mlp = 14336, .layers = 8, .heads = 32, .kv_heads = 8, .head_dim = 128}},
};
constexpr int kWarmUp = 2, kSteps = 8;
constexpr int64_t kLength = 2048, kRank = 16;

Batch batch(uint64_t seed, int64_t texts, int64_t vocab) {
  Random r{seed};
  Batch b;
  b.offsets.push_back(0);
  for (int64_t t = 0; t < texts; t++) {
    for (int64_t i = 0; i < kLength; i++) b.ids.push_back(int32_t(r.below(vocab)));
    b.targets.insert(b.targets.end(), b.ids.end() - kLength + 1, b.ids.end());
    b.targets.push_back(kIgnore);
    b.offsets.push_back(int32_t(b.ids.size()));
  }
  return b;
}

// Multiply-adds of a token's forward and backward pass, twice: base and adapters forward and through, adapters' own gradients, causal attention.
double flop_of_token(const TinySizes& n) {
  const double q = double(n.heads * n.head_dim), kv = double(n.kv_heads * n.head_dim), dim = double(n.dim), mlp = double(n.mlp), r = double(kRank);
  const double base = dim * (2 * q + 2 * kv + 3 * mlp), adapters = r * (7 * dim + 2 * q + 2 * kv + 3 * mlp) - r * dim;
  return double(n.layers) * (4 * base + 6 * adapters + 3.5 * 2 * double(kLength) * q) + 4 * dim * double(n.vocab);
}

}  // namespace

void run_device_speed(const Options& o, Report& report) {
  using clock = std::chrono::steady_clock;
  const DevicePlugin& plugin = open_plugin(o.plugin.empty() ? LOWRANK_EMULATED_PLUGIN : o.plugin);
  const Devices found = plugin.devices();
  if (found.found.empty()) {
    std::printf("device-speed: skipped: %s\n", found.missing.c_str());
    return;
  }
  for (const Shape& shape : kShapes) {
    if (std::string(shape.name).find(o.filter) == std::string::npos) continue;
    const TinyModel model(tiny_spec(shape.sizes), random_values(1), Format::bf16);
    for (const int64_t texts : {1, 4}) {
      const int64_t before = plugin.devices().found[0].free;
      const AdapterSpec adapter = {.rank = kRank, .alpha = 2 * kRank, .targets = model.targets, .seed = 1};
      const EngineOptions options = {.device = "cuda:0", .act = DType::bf16, .threads = 1, .max_tokens = texts * kLength, .max_sequence = kLength, .training = true};
      LoadProgress progress;
      Engine engine(model.source, {adapter}, options, progress, plugin.make(0));
      std::vector<double> seconds;
      StepState state;
      for (int step = 0; step < kWarmUp + kSteps; step++) {
        const Batch b = batch(uint64_t(step), texts, shape.sizes.vocab);
        const auto start = clock::now();
        engine.forward_backward(b, 1.0 / double(b.ids.size()), uint64_t(step));
        engine.adapter().step({.learning_rates = {1e-4f}, .max_grad_norm = 1, .tokens = double(b.ids.size())});
        state = engine.adapter().read();  // waits
        if (step >= kWarmUp) seconds.push_back(std::chrono::duration<double>(clock::now() - start).count());
      }
      std::sort(seconds.begin(), seconds.end());
      const double rate = double(texts * kLength) / seconds[seconds.size() / 2], peak = engine.matmul_peak();
      const double held = double(before - plugin.devices().found[0].free) / double(1 << 30);
      std::printf("| %s | lowrank | %s | bf16, r %lld, %lld x %lld | %.0f tokens/s | %.3f of %.0f TFLOP/s | %.1f GiB | grad_norm %.3g |\n", found.found[0].description.c_str(), shape.name,
                  static_cast<long long>(kRank), static_cast<long long>(texts), static_cast<long long>(kLength), rate, rate * flop_of_token(shape.sizes) / peak, peak * 1e-12, held, state.norm);
      std::fflush(stdout);
      report.expect(std::isfinite(state.norm) && state.norm > 0, std::string("device-speed: gradients of ") + shape.name);
    }
  }
}

}  // namespace lowrank::test
