// Layers and losses of classifiers: a row a text, so that they are a small part of a step.
#include <algorithm>
#include <cmath>

#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {

const float* row(const Mat& m, int64_t r) { return reinterpret_cast<const float*>(m.row(r)); }
float* mutable_row(const Mat& m, int64_t r) { return reinterpret_cast<float*>(m.row(r)); }

float applied(HeadFunction f, float x) {
  switch (f) {
    case HeadFunction::tanh: return std::tanh(x);
    case HeadFunction::relu: return std::max(x, 0.f);
    default: return x;
  }
}
float slope(HeadFunction f, float x) {
  const float y = applied(f, x);
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
    float* const d = mutable_row(a.d, r);
    for (int64_t i = 0; i < in; i++) d[i] = applied(a.f, row(a.x, r)[i]);
    if (a.dropout.active()) rk_.dropout(d, in, DType::f32, a.dropout, uint64_t(r * in), d);
  }
  pool_.run(out, [&](int64_t o, int) {
    for (int64_t r = 0; r < n; r++) {
      mutable_row(a.y, r)[o] = rk_.dot(a.d.row(r), a.w + o * in, in, DType::f32) + (a.bias ? a.bias[o] : 0);
    }
  });
}

void CpuBackend::do_dense_bwd(const DenseBwdArgs& a) {
  const int64_t n = a.d.rows, in = a.d.cols, out = a.dy.cols;
  pool_.run(n, [&](int64_t r, int) {
    float* const dx = mutable_row(a.dx, r);
    std::fill_n(dx, in, 0.f);
    for (int64_t o = 0; o < out; o++) rk_.add_scaled(a.w + o * in, in, DType::f32, row(a.dy, r)[o], dx);
    if (a.dropout.active()) rk_.dropout(dx, in, DType::f32, a.dropout, uint64_t(r * in), dx);
    for (int64_t i = 0; i < in; i++) dx[i] *= slope(a.f, row(a.x, r)[i]);
  });
  if (!a.dw) return;
  pool_.run(out, [&](int64_t o, int) {
    for (int64_t r = 0; r < n; r++) {
      const float dy = row(a.dy, r)[o];
      rk_.add_scaled(a.d.row(r), in, DType::f32, dy, a.dw + o * in);
      if (a.dbias) a.dbias[o] += dy;
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
