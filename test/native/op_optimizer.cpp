// Operands, calls and bounds of AdamW and clipping.
#include <cmath>

#include "bounds.h"
#include "operations.h"
#include "quant/moments.h"
#include "random.h"

namespace lowrank::test {

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999;
constexpr float kEps = 1e-8f;

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

// Two parts of different groups; one of few elements.
int64_t first_part(const Case& c) { return c.in / 3; }
constexpr double kRateFactor = 4;  // of the second
constexpr float kDecay = 0.1f;     // of the first

void call_adamw(const Case& c, Backend& b, Memory& m) {
  m.state.applied = c.step;
  m.state.grad_scale = 0.5f;
  m.state.learning_rate = 3e-3f;
  m.state.applies = true;
  char* const moments = reinterpret_cast<char*>(m.f32("m"));
  const int64_t second = first_part(c), v = reinterpret_cast<char*>(m.f32("v")) - moments, blocks = (second + kMomentBlock - 1) / kMomentBlock;
  m.parts[0] = {.begin = 0, .elements = second, .m = 0, .v = v, .m_max = 0, .v_max = 0, .first_block = 0, .rate_factor = 1, .weight_decay = kDecay, .is_8bit = false};
  m.parts[1] = {.begin = second, .elements = c.in - second, .m = 4 * second, .v = v + 4 * second, .m_max = 0, .v_max = 0, .first_block = blocks, .rate_factor = kRateFactor, .weight_decay = 0, .is_8bit = false};
  b.adamw({.p = m.f32("p"),
           .g = m.f32("g"),
           .moments = moments,
           .parts = m.parts,
           .count = 2,
           .blocks = blocks + (c.in - second + kMomentBlock - 1) / kMomentBlock,
           .beta1 = kBeta1,
           .beta2 = kBeta2,
           .eps = kEps,
           .state = &m.state});
}

// m: a product, a difference, a product, a sum. v: three products and a sum, all positive. p: the decay's product and its
// factor's rounding; the quotient's operands, each with a few roundings; the sum.
void bound_adamw(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const StepState& state = twin.state;
  const double c1 = 1 - std::pow(kBeta1, double(c.step)), c2 = 1 - std::pow(kBeta2, double(c.step));
  const float *g_of = twin.f32("g"), *m_of = twin.f32("m"), *v_of = twin.f32("v");
  for (int64_t i = 0; i < c.in; i++) {
    const double p0 = std::fabs(double(slots.find("p")->values[size_t(i)])),
                 m0 = std::fabs(double(slots.find("m")->values[size_t(i)]));
    const double g = std::fabs(double(g_of[i]) * double(state.grad_scale)), m = std::fabs(double(m_of[i])), v = double(v_of[i]);
    const double m_off = 2 * kF32 * (m0 + g), v_off = 4 * kF32 * v;
    const double factor = double(state.learning_rate) * (i < first_part(c) ? 1 : kRateFactor) / c1 / (std::sqrt(v / c2) + double(kEps));
    b.of["m"].push_back(m_off);
    b.of["v"].push_back(v_off);
    b.of["p"].push_back(2 * kF32 * p0 + factor * (m_off + 10 * kF32 * m));
  }
}

void define_clip(const Case& c, Slots& s) {
  Random r(c.seed);
  s.vector("g", r.values(c.in, DType::f32));
  s.vector("learning_rates", {3e-3f});
}
void call_clip(const Case& c, Backend& b, Memory& m) {
  m.state = {};
  b.clip({.g = m.f32("g"),
          .n = c.in,
          .max_norm = 1,
          .grad_factor = 4,
          .tokens = 1,
          .growth_steps = 0,
          .learning_rates = m.f32("learning_rates"),
          .rates = 1,
          .skipped_before = 0,
          .state = &m.state});
  m.scalar = m.state.norm;
}
// Lanes are summed in f32 over 64 vectors and then among themselves, runs in double. There is no cancellation: the error is relative, and
// the root halves it.
void bound_clip(const Case&, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  b.scalar = sum_error(64 + 4) / 2 * twin.scalar;
}

double work_adamw(const Case& c) { return double(c.in) * 28; }
double work_clip(const Case& c) { return double(c.in) * 4; }

}  // namespace

const std::vector<Operation> kOptimizerOperations = {
    {"adamw", define_adamw, call_adamw, bound_adamw, work_adamw, true},
    {"clip", define_clip, call_clip, bound_clip, work_clip, true},
};

}  // namespace lowrank::test
