#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/end_clip.h"
#include "quant/moments.h"
#include "ref/ref_backend.h"

namespace lowrank {

namespace {

void step(const AdamWArgs& a, const AdamWPart& part, int64_t begin, int64_t n, float* p, float* m, float* v) {
  const StepState& s = *a.state;
  const double lr = double(s.learning_rate) * part.rate_factor, b1 = a.beta1, b2 = a.beta2, t = double(s.applied);
  for (int64_t i = 0; i < n; i++) {
    const double g = double(a.g[begin + i]) * double(s.grad_scale);
    const double m1 = b1 * double(m[i]) + (1 - b1) * g, v1 = b2 * double(v[i]) + (1 - b2) * g * g;
    const double decayed = double(p[i]) * (1 - lr * double(part.weight_decay));
    const double m_hat = m1 / (1 - std::pow(b1, t)), v_hat = v1 / (1 - std::pow(b2, t));
    p[i] = float(decayed - lr * m_hat / (std::sqrt(v_hat) + double(a.eps)));
    m[i] = float(m1);
    v[i] = float(v1);
  }
}

// A block of moments in 8 bits.
struct Moments {
  Moment moment;
  uint8_t* codes;
  float* maximum;
  std::vector<float> x;

  Moments(Moment which, char* codes_at, char* maximum_at, int64_t n) : moment(which), codes(reinterpret_cast<uint8_t*>(codes_at)), maximum(reinterpret_cast<float*>(maximum_at)) {
    for (int64_t j = 0; j < n; j++) x.push_back(moment_map(moment)[codes[j]] * *maximum);
  }
  void round() {
    float top = 0;
    for (const float each : x) top = std::max(top, std::fabs(each));
    *maximum = top == 0 ? 1 : top;
    const float* const map = moment_map(moment);
    for (size_t j = 0; j < x.size(); j++) {  // the nearest of all
      const float share = x[j] / *maximum;
      codes[j] = uint8_t(std::min_element(map, map + 256, [&](float l, float r) { return std::fabs(share - l) < std::fabs(share - r); }) - map);
    }
  }
};

}  // namespace

void RefBackend::do_adamw(const AdamWArgs& a) {
  if (!a.state->applies) return;
  for (int64_t number = 0; number < a.count; number++) {
    const AdamWPart& part = a.parts[number];
    float* const p = a.p + part.begin;
    if (!part.is_8bit) {
      step(a, part, part.begin, part.elements, p, reinterpret_cast<float*>(a.moments + part.m), reinterpret_cast<float*>(a.moments + part.v));
      continue;
    }
    for (int64_t i = 0, b = 0; i < part.elements; i += kMomentBlock, b++) {
      const int64_t n = std::min(kMomentBlock, part.elements - i);
      Moments m(Moment::first, a.moments + part.m + i, a.moments + part.m_max + 4 * b, n), v(Moment::second, a.moments + part.v + i, a.moments + part.v_max + 4 * b, n);
      step(a, part, part.begin + i, n, p + i, m.x.data(), v.x.data());
      m.round();
      v.round();
    }
  }
}

void RefBackend::do_clip(const ClipArgs& a) {
  double sum = 0;
  for (int64_t i = 0; i < a.n; i++) sum += double(a.g[i]) * double(a.g[i]);
  end_clip(a, sum);
}

}  // namespace lowrank
