// Layers and losses of classifiers: a row a text, so that they are a small part of a step.
#include <algorithm>
#include <cmath>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {

const float* row(const Mat& m, int64_t r) { return reinterpret_cast<const float*>(m.row(r)); }
float* mutable_row(const Mat& m, int64_t r) { return reinterpret_cast<float*>(m.row(r)); }

float applied(HeadFunction f, float z) {
  switch (f) {
    case HeadFunction::tanh: return std::tanh(z);
    case HeadFunction::relu: return std::max(z, 0.f);
    default: return z;
  }
}
// f'(z), from y = f(z)
float slope(HeadFunction f, float y) {
  switch (f) {
    case HeadFunction::tanh: return 1 - y * y;
    case HeadFunction::relu: return y > 0 ? 1 : 0;
    default: return 1;
  }
}

// log(1 + exp(z)) without overflow
double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::fabs(z))); }

// The loss of one row; z becomes its gradient.
double cross_entropy(float* z, int64_t n, int64_t label, double scale, bool gradient) {
  const double top = double(*std::max_element(z, z + n));
  double sum = 0;
  for (int64_t k = 0; k < n; k++) sum += std::exp(double(z[k]) - top);
  const double lse = top + std::log(sum), loss = lse - double(z[label]);
  for (int64_t k = 0; gradient && k < n; k++) {
    const double logit = double(z[k]) - lse;
    z[k] = float(scale * (k == label ? std::expm1(logit) : std::exp(logit)));
  }
  return loss;
}

double squared_error(float& z, float label, double scale, bool gradient) {
  const double off = double(z) - double(label);
  if (gradient) z = float(scale * 2 * off);
  return off * off;
}

double binary_cross_entropy(float& z, float label, double scale, bool gradient) {
  const double x = double(z), t = double(label);
  if (gradient) z = float(scale * (1 / (1 + std::exp(-x)) - t));
  return softplus(x) - t * x;
}

}  // namespace

void CpuBackend::do_dense_fwd(const DenseFwdArgs& a) {
  const int64_t n = a.x.rows, in = a.x.cols, out = a.y.cols;
  for (int64_t r = 0; r < n; r++) {
    if (a.dropout.active()) rk_.dropout(a.x.row(r), in, DType::f32, a.dropout, uint64_t(r * in), a.d.row(r));
    else if (a.d.data != a.x.data) std::copy_n(row(a.x, r), in, mutable_row(a.d, r));
  }
  pool_.run(out, [&](int64_t o, int) {
    for (int64_t r = 0; r < n; r++) {
      const float z = rk_.dot(a.d.row(r), a.w + o * in, in, DType::f32) + (a.bias ? a.bias[o] : 0);
      mutable_row(a.y, r)[o] = applied(a.f, z);
    }
  });
}

void CpuBackend::do_dense_bwd(const DenseBwdArgs& a) {
  const int64_t n = a.d.rows, in = a.d.cols, out = a.y.cols;
  for (int64_t r = 0; r < n; r++) {
    for (int64_t o = 0; o < out; o++) mutable_row(a.dy, r)[o] *= slope(a.f, row(a.y, r)[o]);
  }
  pool_.run(n, [&](int64_t r, int) {
    float* const dx = mutable_row(a.dx, r);
    std::fill_n(dx, in, 0.f);
    for (int64_t o = 0; o < out; o++) rk_.add_scaled(a.w + o * in, in, DType::f32, row(a.dy, r)[o], dx);
    if (a.dropout.active()) rk_.dropout(dx, in, DType::f32, a.dropout, uint64_t(r * in), dx);
  });
  if (!a.dw) return;
  pool_.run(out, [&](int64_t o, int) {
    for (int64_t r = 0; r < n; r++) {
      const float dz = row(a.dy, r)[o];
      rk_.add_scaled(a.d.row(r), in, DType::f32, dz, a.dw + o * in);
      if (a.dbias) a.dbias[o] += dz;
    }
  });
}

void CpuBackend::do_label_loss(const LabelLossArgs& a) {
  const int64_t n = a.logits.rows, classes = a.logits.cols;
  const double scale = a.loss_scale * (a.dynamic_scale ? *a.dynamic_scale : 1);
  double sum = 0;
  for (int64_t r = 0; r < n; r++) {
    float* const z = mutable_row(a.logits, r);
    if (a.loss == LabelLoss::single_label_classification) {
      sum += cross_entropy(z, classes, int64_t(a.labels[r]), scale, a.gradient);
      continue;
    }
    for (int64_t k = 0; k < classes; k++) {
      const float label = a.labels[r * classes + k];
      sum += a.loss == LabelLoss::regression ? squared_error(z[k], label, scale, a.gradient) : binary_cross_entropy(z[k], label, scale, a.gradient);
    }
  }
  *a.loss_sum += sum;
}

}  // namespace lowrank::cpu
