// Operands, calls and bounds of DoRA, of biases of B, of dropout, and of noise.
#include <cmath>

#include "bounds.h"
#include "operations.h"
#include "random.h"

namespace lowrank::test {

namespace {

constexpr float kBiasScale = 1.5f, kNoise = 0.1f;

double magnitude(const Slots& slots, const char* name, int64_t i) {
  return std::fabs(double(slots.find(name)->values[size_t(i)]));
}

std::vector<float> positive(std::vector<float> values) {
  for (float& v : values) v = 1.5f + v;
  return values;
}

// Without z there is the bias alone, which is added.
void define_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  if (c.optional) {
    s.input("z", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
    s.vector("factor", r.values(c.in, DType::f32));
  }
  if (c.bias) s.vector("bias", r.values(c.in, DType::f32));
  if (c.accumulate) s.in_place("y", c.out, c.rows, c.in, r.values(c.rows * c.in, c.out), c.ld_pad);
  else s.output("y", c.out, c.rows, c.in, c.ld_pad);
}
void call_fwd(const Case& c, Backend& b, Memory& m) {
  b.columns_fwd({.z = m.mat("z"), .factor = m.f32("factor"), .bias = m.f32("bias"), .bias_scale = kBiasScale, .y = m.mat("y"), .accumulate = c.accumulate});
}
void bound_fwd(const Case& c, const Arithmetic&, const Memory&, const Slots& slots, Bounds& b) {
  for (int64_t i = 0; i < c.rows * c.in; i++) {
    double terms = c.optional ? magnitude(slots, "z", i) * magnitude(slots, "factor", i % c.in) : 0;
    if (c.bias) terms += double(kBiasScale) * magnitude(slots, "bias", i % c.in);
    if (c.accumulate) terms += magnitude(slots, "y", i);
    b.of["y"].push_back(4 * kF32 * terms);
  }
}

void define_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("dy", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  if (c.optional) {
    s.in_place("z", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
    s.vector("norm", positive(r.values(c.in, DType::f32)));
    s.vector("factor", r.values(c.in, DType::f32));
    s.vector("dmagnitude", r.values(c.in, DType::f32)).role = Role::in_place;
  }
  if (c.bias) s.vector("dbias", r.values(c.in, DType::f32)).role = Role::in_place;
}
void call_bwd(const Case&, Backend& b, Memory& m) {
  b.columns_bwd({.dy = m.mat("dy"),
                 .z = m.mat("z"),
                 .factor = m.f32("factor"),
                 .norm = m.f32("norm"),
                 .dmagnitude = m.f32("dmagnitude"),
                 .dbias = m.f32("dbias"),
                 .bias_scale = kBiasScale});
}
void bound_bwd(const Case& c, const Arithmetic&, const Memory&, const Slots& slots, Bounds& b) {
  std::vector<double> through_z(size_t(c.in)), sums(size_t(c.in));
  for (int64_t i = 0; i < c.rows * c.in; i++) {
    const double dy = magnitude(slots, "dy", i);
    sums[size_t(i % c.in)] += dy;
    if (!c.optional) continue;
    through_z[size_t(i % c.in)] += dy * magnitude(slots, "z", i);
    b.of["z"].push_back(2 * kF32 * dy * magnitude(slots, "factor", i % c.in));
  }
  for (int64_t o = 0; o < c.in; o++) {
    const size_t at = size_t(o);
    if (c.optional) b.of["dmagnitude"].push_back(4 * kF32 * (magnitude(slots, "dmagnitude", o) + through_z[at] / magnitude(slots, "norm", o)));
    if (c.bias) b.of["dbias"].push_back(4 * kF32 * (magnitude(slots, "dbias", o) + double(kBiasScale) * sums[at]));
  }
}

constexpr float kScale = 1.5f;

void define_norms(const Case& c, Slots& s) {
  Random r(c.seed);
  define_weight(c, s, "w", r);
  s.input("a", DType::f32, c.rank, c.in, r.values(c.rank * c.in, DType::f32));
  s.input("b", DType::f32, c.features, c.rank, r.values(c.features * c.rank, DType::f32));
  s.output("norm", DType::f32, 1, c.features);
  if (!c.optional) return;
  s.vector("magnitude", r.values(c.features, DType::f32));
  s.output("factor", DType::f32, 1, c.features);
}
void call_norms(const Case& c, Backend& b, Memory& m) {
  Lora l;
  l.a = m.f32("a");
  l.b = m.f32("b");
  l.rank = c.rank;
  l.scale = kScale;
  b.row_norms({.w = m.weight("w"), .lora = l, .magnitude = m.f32("magnitude"), .norm = m.f32("norm"), .factor = m.f32("factor")});
}
// A norm is off by no more than the norm of its elements' errors, and by its sum's.
void bound_norms(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& bounds) {
  const Mat a = twin.mat("a"), b = twin.mat("b");
  const Weight w = twin.weight("w");
  for (int64_t o = 0; o < c.features; o++) {
    double squares = 0;
    for (int64_t i = 0; i < c.in; i++) {
      double terms = std::fabs(double(w.get(o, i)));
      for (int64_t r = 0; r < c.rank; r++) terms += double(kScale) * std::fabs(double(b.get(o, r)) * double(a.get(r, i)));
      squares += terms * terms;
    }
    const double norm = double(twin.f32("norm")[o]), error = sum_error(c.rank + 1) * std::sqrt(squares) + sum_error(c.in) * norm;
    bounds.of["norm"].push_back(error);
    if (c.optional) bounds.of["factor"].push_back(magnitude(slots, "magnitude", o) / norm * (2 * error / norm + 3 * kF32));
  }
}

void define_dropout(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("x", c.weight, c.rows, c.in, r.values(c.rows * c.in, c.weight), c.ld_pad);
  if (c.accumulate) s.in_place("y", c.out, c.rows, c.in, r.values(c.rows * c.in, c.out), c.ld_pad);
  else s.output("y", c.out, c.rows, c.in, c.ld_pad).alias = c.alias == Alias::y_is_x ? "x" : "";
}
void call_dropout(const Case& c, Backend& b, Memory& m) {
  b.dropout({.x = m.mat("x"), .y = m.mat("y"), .dropout = c.dropout, .rest = c.rest, .accumulate = c.accumulate});
}
void bound_dropout(const Case& c, const Arithmetic&, const Memory&, const Slots& slots, Bounds& b) {
  for (int64_t i = 0; i < c.rows * c.in; i++) {
    const double x = magnitude(slots, "x", i) / (1 - double(c.dropout.p));
    b.of["y"].push_back(4 * kF32 * (x + (c.accumulate ? magnitude(slots, "y", i) : 0)));
  }
}

void define_noise(const Case& c, Slots& s) {
  Random r(c.seed);
  s.in_place("x", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32));
}
void call_noise(const Case& c, Backend& b, Memory& m) {
  b.add_noise({.x = m.mat("x"), .size = kNoise, .seed = c.dropout.seed, .stream = c.dropout.stream, .offset = c.dropout.offset});
}
void bound_noise(const Case& c, const Arithmetic&, const Memory&, const Slots& slots, Bounds& b) {
  for (int64_t i = 0; i < c.rows * c.in; i++) b.of["x"].push_back(4 * kF32 * (magnitude(slots, "x", i) + double(kNoise)));
}

double work_columns(const Case& c) { return double(c.rows * c.in) * 3 * double(dtype_bytes(c.act)); }
double work_norms(const Case& c) { return double(c.features * c.in) * double(c.rank + 1); }
double work_dropout(const Case& c) { return double(c.rows * c.in) * double(dtype_bytes(c.weight) + dtype_bytes(c.out)); }
double work_noise(const Case& c) { return double(c.rows * c.in) * 8; }

}  // namespace

const std::vector<Operation> kColumnOperations = {
    {"columns_fwd", define_fwd, call_fwd, bound_fwd, work_columns, true},
    {"columns_bwd", define_bwd, call_bwd, bound_bwd, work_columns, true},
    {"row_norms", define_norms, call_norms, bound_norms, work_norms, false},
    {"dropout", define_dropout, call_dropout, bound_dropout, work_dropout, true},
    {"add_noise", define_noise, call_noise, bound_noise, work_noise, true},
};

}  // namespace lowrank::test
