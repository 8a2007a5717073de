#include <cmath>

#include "ref/ref_backend.h"

namespace lowrank {

void RefBackend::adamw(const AdamWArgs& a) {
  const double lr = double(a.lr), b1 = double(a.beta1), b2 = double(a.beta2), t = double(a.step);
  for (int64_t i = 0; i < a.n; i++) {
    const double g = double(a.g[i]) * double(a.grad_scale);
    const double m = b1 * double(a.m[i]) + (1 - b1) * g, v = b2 * double(a.v[i]) + (1 - b2) * g * g;
    const double decayed = double(a.p[i]) * (1 - lr * double(a.weight_decay));
    const double m_hat = m / (1 - std::pow(b1, t)), v_hat = v / (1 - std::pow(b2, t));
    a.p[i] = float(decayed - lr * m_hat / (std::sqrt(v_hat) + double(a.eps)));
    a.m[i] = float(m);
    a.v[i] = float(v);
  }
}

double RefBackend::sum_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += double(x[i]) * double(x[i]);
  return sum;
}

}  // namespace lowrank
