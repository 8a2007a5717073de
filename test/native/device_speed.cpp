// Training steps of made-up models of real shapes on a device: tokens/s, the share of a product's best speed, and memory. Rows for
// docs/gpu-results.md. Then the same bits again and again, and the time of each operation.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "bounds.h"
#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

struct Shape {
  const char* name;
  TinySizes sizes;
  bool is_whole;  // else the base case alone is measured
  int64_t length = 2048;
  int steps = 8, same_bits = 20;
};
// Of the large ones a quarter of the layers, so that making them up takes no longer than measuring them.
const Shape kShapes[] = {
    {"llama-3.2-1b", {.vocab = 128256, .dim = 2048, .mlp = 8192, .layers = 16, .heads = 32, .kv_heads = 8, .head_dim = 64}, true},
    {"llama-3-8b, 8 of 32 layers", {.vocab = 128256, .dim = 4096, .mlp = 14336, .layers = 8, .heads = 32, .kv_heads = 8, .head_dim = 128}, true},
    {"qwen2.5-7b, 7 of 28 layers", {.vocab = 152064, .dim = 3584, .mlp = 18944, .layers = 7, .heads = 28, .kv_heads = 4, .head_dim = 128}, false},
};
// For trying this out where the emulation is the device.
const Shape kQuick = {"tiny", {.vocab = 97, .dim = 32, .mlp = 64, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8}, true, 24, 2, 3};
struct Run {
  const char* format;
  DType act;
  Format stored;  // of the linears
  int64_t texts;
  bool checkpointing, base_case;
  bool repeats = true;  // passes of one shape
  bool sums_in_f32 = false, bordered = false, attention_products = false;
};
const Run kRuns[] = {
    {"bf16", DType::bf16, Format::bf16, 4, false, true},  {"bf16", DType::bf16, Format::bf16, 1, false, false}, {"bf16", DType::bf16, Format::bf16, 4, true, false},
    {"bf16, no graphs", DType::bf16, Format::bf16, 1, false, false, false},
    {"bf16, sums in f32", DType::bf16, Format::bf16, 4, false, false, true, true},
    {"bf16, attention through products", DType::bf16, Format::bf16, 4, false, false, true, false, false, true},
    {"bf16, bordered", DType::bf16, Format::bf16, 4, false, false, true, false, true},
    {"nf4", DType::bf16, Format::nf4, 4, false, false}, {"nf4, bordered", DType::bf16, Format::nf4, 4, false, false, true, false, true}, {"nf4", DType::bf16, Format::nf4, 1, true, false},  {"fp16", DType::f16, Format::bf16, 4, false, false},
};
constexpr int kWarmUp = 2;
constexpr int64_t kRank = 16;
using Clock = std::chrono::steady_clock;

Batch batch(uint64_t seed, int64_t texts, const Shape& shape) {
  const int64_t length = shape.length, vocab = shape.sizes.vocab;
  Random r{seed};
  Batch b;
  b.offsets.push_back(0);
  for (int64_t t = 0; t < texts; t++) {
    for (int64_t i = 0; i < length; i++) b.ids.push_back(int32_t(r.below(vocab)));
    b.targets.insert(b.targets.end(), b.ids.end() - length + 1, b.ids.end());
    b.targets.push_back(kIgnore);
    b.offsets.push_back(int32_t(b.ids.size()));
  }
  return b;
}

// Multiply-adds of a token's forward and backward pass, twice: base and adapters forward and through, adapters' own gradients, causal attention.
// What checkpointing computes again is not counted.
double flop_of_token(const Shape& shape) {
  const TinySizes& n = shape.sizes;
  const double q = double(n.heads * n.head_dim), kv = double(n.kv_heads * n.head_dim), dim = double(n.dim), mlp = double(n.mlp), r = double(kRank);
  const double base = dim * (2 * q + 2 * kv + 3 * mlp), adapters = r * (7 * dim + 2 * q + 2 * kv + 3 * mlp) - r * dim;
  return double(n.layers) * (4 * base + 6 * adapters + 3.5 * 2 * double(shape.length) * q) + 4 * dim * double(n.vocab);
}

ModelSource stored_as(const TinyModel& model, Format format) {
  ModelSource source = model.source;
  if (format == Format::bf16) return source;
  for (TensorEntry& t : source.tensors) {
    const auto is_its = [&](const std::string& linear) { return t.name == linear + ".weight"; };
    if (std::any_of(model.targets.begin(), model.targets.end(), is_its)) t.quantize = {.format = format, .double_quant = true};
  }
  return source;
}

struct Trained {
  LoadProgress progress;
  Engine engine;
  static AdapterSpecs adapters(const TinyModel& model) { return {{.rank = kRank, .alpha = 2 * kRank, .targets = model.targets, .seed = 1}}; }
  static EngineOptions options(const TinyModel& model, const Shape& shape, const Run& run, bool profile) {
    return {.device = "cuda:0",
            .act = run.act,
            .threads = 8,
            .max_tokens = run.texts * shape.length,
            .max_sequence = shape.length,
            .training = true,
            .profile = profile,
            .checkpointed_blocks = run.checkpointing ? model.source.spec.layers : 0};
  }
  Trained(const TinyModel& model, const Shape& shape, const Run& run, const DevicePlugin& plugin, bool profile)
      : engine(stored_as(model, run.stored), adapters(model), options(model, shape, run, profile), progress, plugin.make(0)) {}

  StepState step(const Batch& b, float rate) {
    engine.forward_backward(b, 1.0 / double(b.ids.size()), 0);
    engine.adapter().step({.learning_rates = {rate}, .max_grad_norm = 1, .tokens = double(b.ids.size())});
    return engine.adapter().read();  // waits
  }
};

// Steps that change nothing: of equal bits, however the device orders its work.
bool has_same_bits(Trained& trained, const Batch& b, int times) {
  const size_t bytes = size_t(trained.engine.trainable_parameters()) * sizeof(float);
  std::vector<char> first(bytes), again(bytes);
  for (int i = 0; i < times; i++) {
    trained.engine.forward_backward(b, 1.0 / double(b.ids.size()), 0);
    trained.engine.adapter().gradients().read(0, int64_t(bytes), (i == 0 ? first : again).data());
    if (i > 0 && std::memcmp(first.data(), again.data(), bytes) != 0) return false;
    trained.engine.adapter().step({.learning_rates = {0.f}, .max_grad_norm = 1, .tokens = 1});
  }
  return true;
}

// The operations of one step, each waited for: of the longest in all first.
void print_operations(const TinyModel& model, const Shape& shape, const Run& run, const DevicePlugin& plugin) {
  Trained trained(model, shape, run, plugin, true);
  const Batch b = batch(0, run.texts, shape);
  trained.step(b, 1e-4f);
  trained.engine.take_profile();
  trained.step(b, 1e-4f);
  struct Sum {
    double seconds = 0, flop = 0;
    int calls = 0;
  };
  std::map<std::string, Sum> sums;
  double all = 0;
  for (const ProfileEvent& e : trained.engine.take_profile()) {
    Sum& s = sums[e.name];
    s.seconds += e.seconds;
    s.flop += e.flop;
    s.calls++;
    all += e.seconds;
  }
  std::vector<std::pair<std::string, Sum>> list(sums.begin(), sums.end());
  std::sort(list.begin(), list.end(), [](const auto& x, const auto& y) { return x.second.seconds > y.second.seconds; });
  std::printf("operations of %s, %s, %lld x %lld, each waited for: %.1f ms\n", shape.name, run.format, static_cast<long long>(run.texts), static_cast<long long>(shape.length), all * 1e3);
  for (const auto& [name, s] : list) {
    std::printf("  %-36s %5d calls %9.3f ms %5.1f %% %8.1f TFLOP/s\n", name.c_str(), s.calls, s.seconds * 1e3, 100 * s.seconds / all, s.flop / s.seconds * 1e-12);
  }
}

// The plan of the device's memory beside what the run holds. The context was there before, and kernels may have been: of estimates the plan may have
// more than is held, and never less.
void check_memory(const TinyModel& model, const Shape& shape, const Run& run, int64_t held, int64_t nodes, const std::string& label, Report& report) {
  int64_t planned = 0, estimated = 0;
  std::printf("  memory of %s, %s: %.1f MiB held, the largest recorded pass has %lld nodes; planned:", shape.name, run.format, double(held) / double(1 << 20), static_cast<long long>(nodes));
  for (const MemoryItem& item : plan_memory(stored_as(model, run.stored), Trained::adapters(model), Trained::options(model, shape, run, false))) {
    if (item.place != MemoryPlace::device) continue;
    std::printf(" %s %.1f", item.name.c_str(), double(item.bytes) / double(1 << 20));
    if (item.name == "context") continue;
    planned += item.bytes;
    if (item.name == "kernels" || item.name == "CUDA graphs" || item.name == "rests of pages") estimated += item.bytes;
  }
  std::printf("\n");
  if (held == 0) return;  // the emulation does not count
  report.expect(held <= planned, label + ": the plan's memory suffices", std::to_string(held - planned) + " bytes more");
  report.expect(planned - estimated <= held, label + ": what is planned beside estimates is held", std::to_string(planned - estimated - held) + " bytes are not");
}

// Returns what the first step found.
StepState measure(const TinyModel& model, const Shape& shape, const Run& run, const DevicePlugin& plugin, Report& report) {
  const lowrank::Device before = plugin.devices().found[0];
  setenv("LOWRANK_CUDA_GRAPHS", run.repeats ? "on" : "off", 1);
  const InForm form(run.bordered, run.sums_in_f32);
  setenv("LOWRANK_CUDA_ATTENTION", run.attention_products ? "products" : "flash", 1);
  Trained trained(model, shape, run, plugin, false);
  std::vector<double> seconds;
  StepState first, state;
  for (int step = 0; step < kWarmUp + shape.steps; step++) {
    const Batch b = batch(uint64_t(step), run.texts, shape);
    const auto start = Clock::now();
    state = trained.step(b, 1e-4f);
    if (step == 0) first = state;
    if (step >= kWarmUp) seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double rate = double(run.texts * shape.length) / seconds[seconds.size() / 2], peak = trained.engine.matmul_peak();
  const double held = double(before.free - plugin.devices().found[0].free) / double(1 << 30);
  char memory[32] = "";  // the emulation does not count
  if (held > 0) std::snprintf(memory, sizeof memory, "%.1f GiB", held);
  std::printf("| %s | lowrank | %s | %s, r %lld, %lld x %lld%s | %.0f tokens/s | %.3f of %.3g TFLOP/s | %s | grad_norm %.3g |\n", before.description.c_str(), shape.name, run.format,
              static_cast<long long>(kRank), static_cast<long long>(run.texts), static_cast<long long>(shape.length), run.checkpointing ? ", checkpointing" : "", rate,
              rate * flop_of_token(shape) / peak, peak * 1e-12, memory, state.norm);
  std::fflush(stdout);
  const std::string label = std::string("device-speed: ") + shape.name + ", " + run.format;
  check_memory(model, shape, run, before.free - plugin.devices().found[0].free, trained.engine.largest_recording(), label, report);
  report.expect(std::isfinite(state.norm) && state.norm > 0, label + ": gradients");
  report.expect((trained.engine.repeated() > 0) == run.repeats, label + ": passes are repeated as CUDA graphs", std::to_string(trained.engine.repeated()) + " are");
  if (run.base_case) report.expect(has_same_bits(trained, batch(1, run.texts, shape), shape.same_bits), label + ": gradients of the same bits again");
  return first;
}

// Attention through products is what the other kernels are held against. Roundings of single numbers are as good as independent, so a loss and a norm of all
// gradients are apart by less than one of them.
void check_attention(const StepState& flash, const StepState& products, const std::string& label, Report& report) {
  for (const auto& [what, found, expected] : {std::tuple{"loss", flash.loss, products.loss}, {"norm", double(flash.norm), double(products.norm)}}) {
    report.expect(std::fabs(found - expected) <= unit(DType::bf16) * std::fabs(expected), label + ": attention's kernels beside products, " + what,
                  std::to_string(found) + " and " + std::to_string(expected));
  }
}

// One text, drawn by every filter. Each token is waited for.
void measure_generation(const TinyModel& model, const Shape& shape, Format format, const DevicePlugin& plugin, Report& report) {
  constexpr int64_t kPrompt = 16, kTokens = 32;
  LoadProgress progress;
  const EngineOptions options{.device = "cuda:0", .act = DType::bf16, .threads = 8, .max_tokens = kPrompt, .max_sequence = kPrompt + kTokens, .cache_tokens = kPrompt + kTokens};
  Engine engine(stored_as(model, format), {}, options, progress, plugin.make(0));
  int32_t token = engine.generate_start(std::vector<int32_t>(size_t(kPrompt), 1), {.temperature = 1, .top_k = 50, .top_p = 0.9f, .seed = 1}, kNoAdapter);
  std::vector<double> seconds;
  for (int64_t i = 0; i < kTokens - 1; i++) {
    const auto start = Clock::now();
    token = engine.generate_next(token);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf("| %s | lowrank | %s | %s, a generated token | %.2f ms | | | |\n", plugin.devices().found[0].description.c_str(), shape.name, format_name(format), 1e3 * seconds[seconds.size() / 2]);
  std::fflush(stdout);
  report.expect(token >= 0 && token < shape.sizes.vocab, std::string("device-speed: ") + shape.name + ", " + format_name(format) + ": a token is generated");
}

}  // namespace

void run_device_speed(const Options& o, Report& report) {
  const DevicePlugin& plugin = open_plugin(o.plugin.empty() ? LOWRANK_EMULATED_PLUGIN : o.plugin);
  const Devices found = plugin.devices();
  if (found.found.empty()) {
    std::printf("device-speed: skipped: %s\n", found.missing.c_str());
    return;
  }
  const std::vector<Shape> shapes = o.quick ? std::vector<Shape>{kQuick} : std::vector<Shape>(std::begin(kShapes), std::end(kShapes));
  for (const Shape& shape : shapes) {
    if (std::string(shape.name).find(o.filter) == std::string::npos) continue;
    const TinyModel model(tiny_spec(shape.sizes), random_values(1), Format::bf16);
    for (const Format format : {Format::bf16, Format::nf4, Format::i8}) {
      try {
        measure_generation(model, shape, format, plugin, report);
      } catch (const Error& e) {
        report.fail(std::string("device-speed: ") + shape.name + ", generation", e.code + ": " + e.what());
      }
    }
    StepState flash;
    for (const Run& run : kRuns) {
      if (!run.base_case && !shape.is_whole) continue;
      try {  // one that fails leaves the others
        const StepState first = measure(model, shape, run, plugin, report);
        if (run.base_case) flash = first;
        if (run.attention_products) check_attention(flash, first, std::string("device-speed: ") + shape.name, report);
        if (run.base_case || run.attention_products) print_operations(model, shape, run, plugin);
      } catch (const Error& e) {
        report.fail(std::string("device-speed: ") + shape.name + ", " + run.format, e.code + ": " + e.what());
      }
    }
  }
}

}  // namespace lowrank::test
