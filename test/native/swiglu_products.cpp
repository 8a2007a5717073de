// Products that end in SwiGLU: bit for bit the product and the row kernel, one after the other.
#include <cstring>

#include "modes.h"
#include "random.h"
#include "runners.h"

namespace lowrank::test {

namespace {

struct Shape {
  DType act;
  int64_t rows, in, features, rank;
  float dropout;
  bool rounds = false;  // LLM.int8, and gradients in codes
};

// Memory of an operation's operands; the operation changes some of them.
class Operands {
 public:
  Mat add(Random& r, DType t, int64_t rows, int64_t cols, int64_t pad) {
    const int64_t ld = cols + pad;
    memory_.emplace_back(size_t(rows * ld * dtype_bytes(t)));
    const Mat m(memory_.back().data(), t, rows, cols, ld);
    for (int64_t i = 0; i < rows * ld; i++) store_f32(m.data, t, i, 2 * r.symmetric());
    return m;
  }
  bool operator==(const Operands& other) const { return memory_ == other.memory_; }

 private:
  std::vector<std::vector<char>> memory_;
};

struct Forward {
  Operands all;
  Mat x, w, maxima, a, b, u, y, gate, out;
  Lora lora;

  Forward(const Shape& s, uint64_t seed) {
    Random r(seed);
    x = all.add(r, s.act, s.rows, s.in, 3);
    w = all.add(r, DType::bf16, s.features, s.in, 0);  // or codes
    maxima = all.add(r, DType::f32, 1, s.features, 0);
    a = all.add(r, DType::f32, std::max<int64_t>(s.rank, 1), s.in, 0);
    b = all.add(r, DType::f32, s.features, std::max<int64_t>(s.rank, 1), 0);
    u = all.add(r, s.act, s.rows, std::max<int64_t>(s.rank, 1), 0);
    y = all.add(r, s.act, s.rows, s.features, 5);
    gate = all.add(r, s.act, s.rows, s.features, 1);
    out = all.add(r, s.act, s.rows, s.features, 2);
    lora = {.a = static_cast<const float*>(a.data), .b = static_cast<const float*>(b.data), .da = nullptr, .db = nullptr,
            .rank = s.rank, .scale = 0.5f, .dropout = {s.dropout, 7, 1, 0}};
  }
  void run(Backend& backend, const Shape& s, bool at_once) {
    LinearFwdArgs args{.x = x,
                       .w = {.data = w.data, .format = Format::bf16, .rows = s.features, .cols = s.in},
                       .lora = s.rank ? &lora : nullptr,
                       .u = s.rank ? u : Mat(),
                       .y = y};
    if (s.rounds) {
      args.w.format = Format::i8;
      args.w.absmax = maxima.data;
      args.w.outlier_threshold = 1.9f;
    }
    if (at_once) {
      args.gate = gate;
      args.a = out;
    }
    backend.linear_fwd(args);
    if (!at_once) backend.glu_fwd({gate, y, out});
  }
};

struct Backward {
  Operands all;
  Mat dy, x, w, maxima, a, b, u, da, db, dx, gate, up;
  Lora lora;

  Backward(const Shape& s, uint64_t seed) {
    Random r(seed);
    const int64_t rank = std::max<int64_t>(s.rank, 1);
    dy = all.add(r, s.act, s.rows, s.in, 3);
    x = all.add(r, s.act, s.rows, s.features, 0);
    w = all.add(r, DType::bf16, s.in, s.features, 0);
    maxima = all.add(r, DType::f32, 1, s.in, 0);
    a = all.add(r, DType::f32, rank, s.features, 0);
    b = all.add(r, DType::f32, s.in, rank, 0);
    u = all.add(r, s.act, s.rows, rank, 0);
    da = all.add(r, DType::f32, rank, s.features, 0);
    db = all.add(r, DType::f32, s.in, rank, 0);
    gate = all.add(r, s.act, s.rows, s.features, 1);
    up = all.add(r, s.act, s.rows, s.features, 2);
    lora = {.a = static_cast<const float*>(a.data), .b = static_cast<const float*>(b.data), .da = static_cast<float*>(da.data),
            .db = static_cast<float*>(db.data), .rank = s.rank, .scale = 0.5f, .dropout = {s.dropout, 7, 1, 0}};
  }
  void run(Backend& backend, const Shape& s, bool at_once) {
    // The contents of dx afterwards do not count: they are not compared.
    std::vector<char> memory(size_t(s.rows * s.features * dtype_bytes(s.act)));
    LinearBwdArgs args{.dy = dy,
                       .x = s.rank ? x : Mat(),
                       .w = {.data = w.data, .format = Format::bf16, .rows = s.in, .cols = s.features},
                       .lora = s.rank ? &lora : nullptr,
                       .u = s.rank ? u : Mat(),
                       .dx = Mat(memory.data(), s.act, s.rows, s.features)};
    if (s.rounds) {
      args.w.format = Format::i8;
      args.w.absmax = maxima.data;
      args.w.gradient_codes = GradientCodes::nearest;
    }
    if (at_once) {
      args.gate = gate;
      args.up = up;
    }
    backend.linear_bwd(args);
    if (!at_once) backend.glu_bwd({args.dx, gate, up, gate, up});
  }
};

template <class Pass>
void compare(const char* name, Runner& runner, const Shape& s, uint64_t seed, Report& report) {
  OpLimits limits;
  limits.tokens = s.rows;
  limits.features = std::max(s.in, s.features);
  limits.rank = s.rank;
  limits.act = s.act;
  limits.training = true;
  limits.dropout = s.dropout > 0;
  limits.rounds_activations = limits.rounds_gradients = s.rounds;
  Pass at_once(s, seed), apart(s, seed), before(s, seed);
  at_once.run(runner.prepare(limits, true), s, true);
  apart.run(runner.prepare(limits, true), s, false);
  const std::string what = std::string("twin [") + runner.label() + "] " + name + " that ends in SwiGLU, " + dtype_name(s.act) + " rows=" +
                           std::to_string(s.rows) + " in=" + std::to_string(s.in) + " features=" + std::to_string(s.features) +
                           " rank=" + std::to_string(s.rank) + (s.dropout > 0 ? " dropout" : "") + (s.rounds ? " LLM.int8" : "");
  report.expect(at_once.all == apart.all, what, "other bits than one after the other");
  report.expect(!(at_once.all == before.all), what, "nothing was computed");
}

}  // namespace

void test_swiglu_products(const cpu::InstructionSet& isa, Report& report) {
  Runner runner(isa, 2);
  uint64_t seed = 1;
  for (const DType act : {DType::f32, DType::bf16, DType::f16}) {
    for (const int64_t rows : {1, 4, 5, 16, 32, 33, 70, 97}) {
      for (const auto& [in, features] : {std::pair<int64_t, int64_t>{5, 1}, {40, 16}, {64, 32}, {31, 33}, {96, 79}, {1700, 96}}) {
        const Shape plain{act, rows, in, features, 0, 0};
        compare<Forward>("linear_fwd", runner, plain, seed++, report);
        compare<Backward>("linear_bwd", runner, plain, seed++, report);
        const Shape adapted{act, rows, in, features, 6, rows % 2 ? 0.25f : 0.f};
        compare<Forward>("linear_fwd", runner, adapted, seed++, report);
        compare<Backward>("linear_bwd", runner, adapted, seed++, report);
        const Shape rounded{act, rows, in, features, 6, rows % 2 ? 0.25f : 0.f, true};
        compare<Forward>("linear_fwd", runner, rounded, seed++, report);
        compare<Backward>("linear_bwd", runner, rounded, seed++, report);
      }
    }
  }
}

}  // namespace lowrank::test
