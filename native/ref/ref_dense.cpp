#include <cmath>

#include "ref/ref_backend.h"

namespace lowrank {

namespace {

double applied(HeadFunction f, double x) { return f == HeadFunction::tanh ? std::tanh(x) : f == HeadFunction::relu ? (x > 0 ? x : 0) : x; }
double slope(HeadFunction f, double x) { return f == HeadFunction::tanh ? 1 - std::tanh(x) * std::tanh(x) : f == HeadFunction::relu ? (x > 0 ? 1 : 0) : 1; }

}  // namespace

void RefBackend::do_dense_fwd(const DenseFwdArgs& a) {
  const int64_t in = a.x.cols;
  for (int64_t n = 0; n < a.x.rows; n++) {
    for (int64_t i = 0; i < in; i++) {
      const double x = applied(a.f, double(a.x.get(n, i)));
      a.d.set(n, i, float(a.dropout.active() ? ref_dropout(x, a.dropout, uint64_t(n * in + i), DType::f32) : x));
    }
    for (int64_t o = 0; o < a.y.cols; o++) {
      double z = a.bias ? double(a.bias[o]) : 0;
      for (int64_t i = 0; i < in; i++) z += double(a.d.get(n, i)) * double(a.w[o * in + i]);
      a.y.set(n, o, float(z));
    }
  }
}

// y = d w^T + bias, d = mask f(x):  dd = dy w, dx = f'(x) mask dd, dw = dy^T d
void RefBackend::do_dense_bwd(const DenseBwdArgs& a) {
  const int64_t in = a.d.cols, out = a.dy.cols;
  for (int64_t n = 0; n < a.d.rows; n++) {
    for (int64_t i = 0; i < in; i++) {
      double dd = 0;
      for (int64_t o = 0; o < out; o++) dd += double(a.dy.get(n, o)) * double(a.w[o * in + i]);
      const bool kept = !a.dropout.active() || a.dropout.keep(uint64_t(n * in + i));
      a.dx.set(n, i, float(kept ? slope(a.f, double(a.x.get(n, i))) * dd / (1 - double(a.dropout.p)) : 0));
    }
    if (!a.dw) continue;
    for (int64_t o = 0; o < out; o++) {
      for (int64_t i = 0; i < in; i++) a.dw[o * in + i] = float(double(a.dw[o * in + i]) + double(a.dy.get(n, o)) * double(a.d.get(n, i)));
      if (a.dbias) a.dbias[o] = float(double(a.dbias[o]) + double(a.dy.get(n, o)));
    }
  }
}

void RefBackend::do_label_loss(const LabelLossArgs& a) {
  const int64_t classes = a.logits.cols;
  const double scale = a.loss_scale * (a.dynamic_scale ? *a.dynamic_scale : 1);
  for (int64_t n = 0; n < a.logits.rows; n++) {
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) sum += std::exp(double(a.logits.get(n, k)));
    for (int64_t k = 0; k < classes; k++) {
      const double z = double(a.logits.get(n, k));
      double loss = 0, slope = 0;
      if (a.loss == LabelLoss::single_label_classification) {
        const bool is_label = k == int64_t(a.labels[n]);
        loss = is_label ? std::log(sum) - z : 0;
        slope = std::exp(z) / sum - (is_label ? 1 : 0);
      } else if (a.loss == LabelLoss::regression) {
        const double t = double(a.labels[n * classes + k]);
        loss = (z - t) * (z - t);
        slope = 2 * (z - t);
      } else {
        const double t = double(a.labels[n * classes + k]), p = 1 / (1 + std::exp(-z));
        loss = -t * std::log(p) - (1 - t) * std::log(1 - p);
        slope = p - t;
      }
      *a.loss_sum += loss;
      if (a.gradient) a.logits.set(n, k, float(scale * slope));
    }
  }
}

}  // namespace lowrank
