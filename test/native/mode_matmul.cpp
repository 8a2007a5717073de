// Linears and decoding alone, as JSON lines of medians. scripts/bench-matmul.mjs sets them beside PyTorch and the memory's bandwidth.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/arena.h"
#include "base/thread_pool.h"
#include "modes.h"
#include "random.h"
#include "runners.h"
#include "stored.h"

namespace lowrank::test {

namespace {

struct LinearShape {
  int64_t in, out;
};

// Median seconds of a run; caches and memory are warm.
template <class F>
double median_seconds(F&& run) {
  using clock = std::chrono::steady_clock;
  std::vector<double> runs;
  double total = 0;
  run();
  while (runs.size() < 5 || (runs.size() < 400 && total < 0.3)) {
    const auto start = clock::now();
    run();
    runs.push_back(std::chrono::duration<double>(clock::now() - start).count());
    total += runs.back();
  }
  std::nth_element(runs.begin(), runs.begin() + std::ptrdiff_t(runs.size() / 2), runs.end());
  return runs[runs.size() / 2];
}

// Numbers of [-1, 1) from a table, for these are many; aligned as an engine's memory is.
class Matrix {
 public:
  Matrix(DType t, int64_t elements, Random& r) {
    offset_ = arena_.reserve("matrix", elements * dtype_bytes(t));
    arena_.commit(host_memory(arena_.total_bytes()));
    constexpr int64_t kTable = 1 << 16;
    char* const m = data();
    for (int64_t i = 0; i < std::min(elements, kTable); i++) store_f32(m, t, i, r.symmetric());
    for (int64_t i = kTable; i < elements; i += kTable) {
      std::memcpy(m + i * dtype_bytes(t), m, size_t(std::min(kTable, elements - i) * dtype_bytes(t)));
    }
  }
  char* data() const { return arena_.at<char>(offset_); }

 private:
  Arena arena_;
  int64_t offset_;
};

// The linears of SmolLM2-135M and its head, 2,048 tokens.
void linears(const cpu::InstructionSet& isa, int threads, const std::string& filter, Report& report) {
  constexpr int64_t kTokens = 2048;
  Runner runner(isa, threads);
  Random r(1);
  for (const DType act : {DType::bf16, DType::f32}) {
    if (!filter.empty() && filter != dtype_name(act)) continue;
    for (const LinearShape s : {LinearShape{576, 576}, {576, 192}, {576, 1536}, {1536, 576}, {576, 49152}}) {
      OpLimits limits;
      limits.tokens = kTokens;
      limits.features = std::max(s.in, s.out);
      limits.act = act;
      limits.training = true;
      Backend& backend = runner.prepare(limits, false);
      // As in a training step: the head's logits lie off the strides that collide, and sums over its vocabulary are f32.
      const bool is_head = s.out > 16 * 1024;
      const int64_t y_ld = is_head ? cpu::apart(s.out) : s.out;
      const Matrix x(act, kTokens * s.in, r), w(act, s.out * s.in, r), y(act, kTokens * y_ld, r), dx(DType::f32, kTokens * s.in, r);
      const Weight weight{.data = w.data(), .format = format_of(act), .rows = s.out, .cols = s.in};
      const DType gradient = is_head ? DType::f32 : act;
      const Mat mx(x.data(), act, kTokens, s.in), my(y.data(), act, kTokens, s.out, y_ld), mdx(dx.data(), gradient, kTokens, s.in);
      for (const bool forward : {true, false}) {
        const double seconds = median_seconds([&] {
          if (forward) backend.linear_fwd({.x = mx, .w = weight, .u = {}, .y = my});
          else backend.linear_bwd({.dy = my, .x = {}, .w = weight, .u = {}, .dx = mdx});
        });
        std::printf("{\"linear\":\"%s\",\"dtype\":\"%s\",\"tokens\":%lld,\"in\":%lld,\"out\":%lld,\"seconds\":%.9g,\"isa\":\"%s\"}\n",
                    forward ? "forward" : "backward", dtype_name(act), static_cast<long long>(kTokens), static_cast<long long>(s.in),
                    static_cast<long long>(s.out), seconds, isa.name);
        report.pass();
      }
    }
  }
}

// A weight from its codes to bf16, beside a copy of the latter; larger than a cache, whose share of a smaller one is the neighbours'.
void decoding(const cpu::InstructionSet& isa, int threads, Report& report) {
  constexpr int64_t kRows = 5 * 5632, kCols = 2048, kBlock = 32;
  ThreadPool pool(threads);
  Random r(2);
  const Matrix plain(DType::bf16, kRows * kCols, r), out(DType::bf16, kRows * kCols, r);
  const auto print = [&](const char* name, int64_t bytes, double seconds) {
    std::printf("{\"decode\":\"%s\",\"bytes\":%lld,\"seconds\":%.9g}\n", name, static_cast<long long>(bytes), seconds);
    report.pass();
  };
  const int64_t written = kRows * kCols * 2;
  const auto blocks = [&](auto&& f) { pool.run(kRows / kBlock, [&](int64_t i, int) { f(i * kBlock); }); };
  print("copy", 2 * written, median_seconds([&] {
          blocks([&](int64_t row) { std::memcpy(out.data() + row * kCols * 2, plain.data() + row * kCols * 2, size_t(kBlock * kCols * 2)); });
        }));
  for (const Format f : kQuantized) {
    Stored stored;
    make_stored(stored, {.format = f, .nested = f == Format::nf4 || f == Format::fp4}, kRows, kCols, r);
    const double seconds = median_seconds([&] {
      blocks([&](int64_t row) { isa.kernels->decode(stored.weight, row, kBlock, 0, kCols, DType::bf16, out.data() + row * kCols * 2, kCols); });
    });
    print(format_name(f), int64_t(stored.bytes.size()) + written, seconds);
  }
}

}  // namespace

void run_matmul(const Options& o, Report& report) {
  const int threads = o.threads > 0 ? o.threads : int(std::max(1u, std::thread::hardware_concurrency()));
  const auto sets = real_sets(o.isa);
  const cpu::InstructionSet& isa = *sets.back();  // the fastest of the named sets
  if (o.op.empty() || o.op == "linear") linears(isa, threads, o.filter, report);
  if (o.op.empty() || o.op == "decode") decoding(isa, threads, report);
}

}  // namespace lowrank::test
