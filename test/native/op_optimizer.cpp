// Operands, calls and bounds of AdamW and the sum of squares.
#include <cmath>

#include "bounds.h"
#include "operations.h"
#include "random.h"

namespace lowrank::test {

namespace {

void define_adamw(const Case& c, Slots& s) {
  Random r(c.seed);
  s.vector("g", r.values(c.in, DType::f32));
  s.vector("p", r.values(c.in, DType::f32)).role = Role::in_place;
  // At the first step the moments are zero.
  s.vector("m", r.values(c.in, DType::f32, c.step > 1 ? 0.1f : 0.f)).role = Role::in_place;
  std::vector<float> v = r.values(c.in, DType::f32, c.step > 1 ? 0.1f : 0.f);
  for (float& x : v) x = std::fabs(x);
  s.vector("v", v).role = Role::in_place;
}

AdamWArgs arguments(const Case& c, const Memory& m) {
  return {.p = m.f32("p"),
          .m = m.f32("m"),
          .v = m.f32("v"),
          .g = m.f32("g"),
          .n = c.in,
          .beta1 = 0.9,
          .beta2 = 0.999,
          .lr = 3e-3f,
          .eps = 1e-8f,
          .weight_decay = 0.1f,
          .grad_scale = 0.5f,
          .step = c.step};
}
void call_adamw(const Case& c, Backend& b, Memory& m) { b.adamw(arguments(c, m)); }

// m: a product, a difference, a product, a sum. v: three products and a sum, all positive. p: the decay's product and its
// factor's rounding; the quotient's operands, each with a few roundings; the sum.
void bound_adamw(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const AdamWArgs a = arguments(c, twin);
  const double c1 = 1 - std::pow(a.beta1, double(a.step)), c2 = 1 - std::pow(a.beta2, double(a.step));
  for (int64_t i = 0; i < c.in; i++) {
    const double p0 = std::fabs(double(slots.find("p")->values[size_t(i)])),
                 m0 = std::fabs(double(slots.find("m")->values[size_t(i)]));
    const double g = std::fabs(double(a.g[i]) * double(a.grad_scale)), m = std::fabs(double(a.m[i])), v = double(a.v[i]);
    const double m_off = 2 * kF32 * (m0 + g), v_off = 4 * kF32 * v;
    const double factor = double(a.lr) / c1 / (std::sqrt(v / c2) + double(a.eps));
    b.of["m"].push_back(m_off);
    b.of["v"].push_back(v_off);
    b.of["p"].push_back(2 * kF32 * p0 + factor * (m_off + 10 * kF32 * m));
  }
}

void define_sum(const Case& c, Slots& s) {
  Random r(c.seed);
  s.vector("x", r.values(c.in, DType::f32));
}
void call_sum(const Case& c, Backend& b, Memory& m) { b.sum_squares({m.f32("x"), c.in, &m.scalar}); }
// Lanes are summed in f32 over 64 vectors and then among themselves, runs in double: no cancellation, a relative error.
void bound_sum(const Case&, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  b.scalar = sum_error(64 + 4) * twin.scalar;
}

double work_adamw(const Case& c) { return double(c.in) * 28; }
double work_sum(const Case& c) { return double(c.in) * 4; }

}  // namespace

const std::vector<Operation> kOptimizerOperations = {
    {"adamw", define_adamw, call_adamw, bound_adamw, work_adamw, true},
    {"sum_squares", define_sum, call_sum, bound_sum, work_sum, true},
};

}  // namespace lowrank::test
