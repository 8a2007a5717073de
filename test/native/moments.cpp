// 8-bit AdamW on an instruction set against the slow twin, step by step from the same state.
#include <cmath>

#include "bounds.h"
#include "modes.h"
#include "quant/moments.h"
#include "random.h"
#include "ref/ref_backend.h"
#include "runners.h"

namespace lowrank::test {

namespace {

struct State {
  std::vector<float> p, m_max, v_max;
  std::vector<uint8_t> m, v;

  void step(Backend& backend, const std::vector<float>& g, int64_t number) {
    StepState state;
    state.applied = number;
    state.grad_scale = 0.5f;
    state.learning_rate = 3e-3f;
    state.applies = true;
    AdamWArgs a{};
    a.state = &state;
    a.p = p.data();
    a.g = g.data();
    a.n = int64_t(p.size());
    a.beta1 = 0.9;
    a.beta2 = 0.999;
    a.eps = 1e-8f;
    a.weight_decay = 0.1f;
    backend.adamw_8bit({a, m.data(), v.data(), m_max.data(), v_max.data()});
  }
};

// Codes that differ are neighbours, for a value on the border between them; there are few. Returns the fault in
// words.
std::string compare_codes(const std::vector<uint8_t>& found, const std::vector<uint8_t>& expected) {
  size_t differing = 0;
  for (size_t i = 0; i < found.size(); i++) {
    const int distance = std::abs(int(found[i]) - int(expected[i]));
    if (distance > 1) return "code " + std::to_string(i) + " is " + std::to_string(found[i]) + ", expected " + std::to_string(expected[i]);
    differing += distance;
  }
  return differing * 200 > found.size() + 200 ? std::to_string(differing) + " codes differ" : "";
}

std::string compare_maxima(const std::vector<float>& found, const std::vector<float>& expected) {
  for (size_t i = 0; i < found.size(); i++) {
    if (!(std::fabs(double(found[i]) - double(expected[i])) <= 8 * kF32 * double(expected[i]))) return "maximum " + std::to_string(i);
  }
  return "";
}

}  // namespace

void test_moments(const cpu::InstructionSet& isa, Report& report) {
  for (const int64_t n : {1, 255, 256, 257, 4096, 5000, 20001}) {
    Random r(uint64_t(n) + 40);
    const size_t blocks = size_t((n + kMomentBlock - 1) / kMomentBlock);
    State state{r.values(n, DType::f32), std::vector<float>(blocks), std::vector<float>(blocks), std::vector<uint8_t>(size_t(n)), std::vector<uint8_t>(size_t(n))};
    for (int64_t step = 1; step <= 3; step++) {
      std::vector<float> g = r.values(n, DType::f32);
      for (float& x : g) x *= std::pow(10.f, float(r.below(7)) - 6);
      State twin = state, one = state, three = state;
      RefBackend ref;
      twin.step(ref, g, step);
      Runner single(isa, 1), several(isa, 3);
      one.step(single.prepare({}, false), g, step);
      three.step(several.prepare({}, false), g, step);
      const std::string label = "twin [" + std::string(isa.name) + "] adamw_8bit n=" + std::to_string(n) + " step " + std::to_string(step);
      double worst = 0;
      for (size_t i = 0; i < size_t(n); i++) worst = std::max(worst, std::fabs(double(one.p[i]) - double(twin.p[i])));
      report.expect(worst <= 40 * kF32, label + " p", std::to_string(worst));
      for (const std::string& wrong : {compare_codes(one.m, twin.m), compare_codes(one.v, twin.v), compare_maxima(one.m_max, twin.m_max),
                                       compare_maxima(one.v_max, twin.v_max)}) {
        report.expect(wrong.empty(), label, wrong);
      }
      report.expect(one.p == three.p && one.m == three.m && one.v == three.v && one.m_max == three.m_max && one.v_max == three.v_max,
                    label + " has the same bits with 3 threads");
      state = twin;
    }
  }
}

}  // namespace lowrank::test
