#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/end_clip.h"
#include "quant/moments.h"
#include "ref/ref_backend.h"

namespace lowrank {

void RefBackend::do_adamw(const AdamWArgs& a) {
  const StepState& s = *a.state;
  if (!s.applies) return;
  const double lr = double(s.learning_rate) * a.rate_factor, b1 = a.beta1, b2 = a.beta2, t = double(s.applied);
  for (int64_t i = 0; i < a.n; i++) {
    const double g = double(a.g[i]) * double(s.grad_scale);
    const double m = b1 * double(a.m[i]) + (1 - b1) * g, v = b2 * double(a.v[i]) + (1 - b2) * g * g;
    const double decayed = double(a.p[i]) * (1 - lr * double(a.weight_decay));
    const double m_hat = m / (1 - std::pow(b1, t)), v_hat = v / (1 - std::pow(b2, t));
    a.p[i] = float(decayed - lr * m_hat / (std::sqrt(v_hat) + double(a.eps)));
    a.m[i] = float(m);
    a.v[i] = float(v);
  }
}

void RefBackend::do_adamw_8bit(const AdamW8bitArgs& args) {
  const AdamWArgs& a = args.step;
  if (!a.state->applies) return;
  for (int64_t i = 0, b = 0; i < a.n; i += kMomentBlock, b++) {
    const int64_t n = std::min(kMomentBlock, a.n - i);
    struct State {
      Moment moment;
      uint8_t* codes;
      float* maximum;
      std::vector<float> x;
    } states[] = {{Moment::first, args.m + i, args.m_max + b, {}}, {Moment::second, args.v + i, args.v_max + b, {}}};
    for (State& s : states) {
      for (int64_t j = 0; j < n; j++) s.x.push_back(moment_map(s.moment)[s.codes[j]] * *s.maximum);
    }
    AdamWArgs step = a;
    step.p += i;
    step.g += i;
    step.m = states[0].x.data();
    step.v = states[1].x.data();
    step.n = n;
    do_adamw(step);
    for (State& s : states) {
      float top = 0;
      for (const float x : s.x) top = std::max(top, std::fabs(x));
      *s.maximum = top == 0 ? 1 : top;
      for (int64_t j = 0; j < n; j++) {  // the nearest of all
        const float x = s.x[size_t(j)] / *s.maximum;
        const float* const map = moment_map(s.moment);
        s.codes[j] = uint8_t(std::min_element(map, map + 256, [&](float l, float r) { return std::fabs(x - l) < std::fabs(x - r); }) - map);
      }
    }
  }
}

void RefBackend::do_clip(const ClipArgs& a) {
  double sum = 0;
  for (int64_t i = 0; i < a.n; i++) sum += double(a.g[i]) * double(a.g[i]);
  end_clip(a, sum);
}

}  // namespace lowrank
