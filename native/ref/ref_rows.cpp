// The operations that work row by row.
#include <cmath>
#include <numbers>
#include <utility>

#include "ref/ref_backend.h"

namespace lowrank {

void RefBackend::do_embedding_fwd(const EmbeddingArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) {
      const double before = a.accumulate ? double(a.x.get(m, c)) : 0;
      a.x.set(m, c, float(before + double(a.scale) * double(a.table.get(a.ids[m], c))));
    }
  }
}

void RefBackend::do_embedding_bwd(const EmbeddingBwdArgs& a) {
  for (int64_t v = 0; v < a.dtable.rows; v++) {
    for (int64_t c = 0; c < a.dtable.cols; c++) {
      double sum = double(a.dtable.get(v, c));
      for (int64_t m = 0; m < a.dx.rows; m++) sum += a.ids[m] == v ? double(a.scale) * double(a.dx.get(m, c)) : 0;
      a.dtable.set(v, c, float(sum));
    }
  }
}

static double mean_of(const Mat& x, int64_t row) {
  double mean = 0;
  for (int64_t c = 0; c < x.cols; c++) mean += double(x.get(row, c)) / double(x.cols);
  return mean;
}

void RefBackend::do_norm_fwd(const NormFwdArgs& a) {
  const int64_t n = a.x.cols;
  for (int64_t m = 0; m < a.x.rows; m++) {
    const double mean = a.centred ? mean_of(a.x, m) : 0;
    double sum = 0;
    const auto y = [&](int64_t c) { return double(a.x.get(m, c)) - mean; };
    for (int64_t c = 0; c < n; c++) sum += y(c) * y(c);
    const double rstd = 1 / std::sqrt(sum / double(n) + double(a.eps));
    if (a.rstd) a.rstd[m] = float(rstd);
    for (int64_t c = 0; c < n; c++) {
      if (a.saved) a.saved.set(m, c, float(y(c)));
      a.h.set(m, c, float(y(c) * rstd * double(a.w[c]) + (a.b ? double(a.b[c]) : 0.0)));
    }
  }
}

void RefBackend::do_norm_apply(const NormApplyArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) a.h.set(m, c, float(double(a.x.get(m, c)) * double(a.rstd[m]) * double(a.w[c]) + (a.b ? double(a.b[c]) : 0.0)));
  }
}

// h_c = y_c s w_c with s = (mean(y^2) + eps)^(-1/2), ds/dy_k = -s^3 y_k / n:
//   dL/dy_k = s w_k dh_k + sum_c dh_c y_c w_c ds/dy_k = s (w_k dh_k - y_k s^2 mean(dh w y))
// y = x, or y = x - mean(x): then dL/dx = dL/dy - mean(dL/dy), and the mean of y is 0.
void RefBackend::do_norm_bwd(const NormBwdArgs& a) {
  const int64_t n = a.x.cols;
  for (int64_t m = 0; m < a.x.rows; m++) {
    const double s = double(a.rstd[m]);
    double mean = 0, mean_g = 0;
    for (int64_t c = 0; c < n; c++) {
      const double dy = double(a.dh.get(m, c)) * double(a.w[c]);
      mean += dy * double(a.x.get(m, c)) / double(n);
      if (a.centred) mean_g += dy / double(n);
    }
    for (int64_t c = 0; c < n; c++) {
      const double g = double(a.dh.get(m, c)) * double(a.w[c]) - double(a.x.get(m, c)) * s * s * mean - mean_g;
      a.dx.set(m, c, float(double(a.dx.get(m, c)) + s * g));
      if (a.rounded) a.rounded.set(m, c, a.dx.get(m, c));
    }
  }
}

void RefBackend::do_inner_norm_fwd(const InnerNormFwdArgs& a) {
  const int64_t per_group = a.heads / a.groups;
  for (int64_t h = 0; h < a.heads; h++) {
    const Mat x = a.x.head(h / per_group, h % per_group, a.dim), y = a.y.head(h / per_group, h % per_group, a.dim);
    const int64_t own = a.each ? h * a.dim : 0;  // where its weight begins
    for (int64_t m = 0; m < x.rows; m++) {
      const double mean = a.centred ? mean_of(x, m) : 0;
      double sum = 0;
      for (int64_t c = 0; c < a.dim; c++) sum += (double(x.get(m, c)) - mean) * (double(x.get(m, c)) - mean);
      const double rstd = 1 / std::sqrt(sum / double(a.dim) + double(a.eps));
      if (a.rstd) a.rstd[m * a.heads + h] = float(rstd);
      for (int64_t c = 0; c < a.dim; c++) {
        const double before = a.accumulate ? double(y.get(m, c)) : 0, bias = a.b ? double(a.b[own + c]) : 0;
        y.set(m, c, float(before + (double(x.get(m, c)) - mean) * rstd * double(a.w[own + c]) + bias));
      }
    }
  }
}

// As norm_bwd.
void RefBackend::do_inner_norm_bwd(const InnerNormBwdArgs& a) {
  const int64_t per_group = a.heads / a.groups;
  for (int64_t h = 0; h < a.heads; h++) {
    const int64_t g = h / per_group, j = h % per_group, own = a.each ? h * a.dim : 0;
    const Mat dy = a.dy.head(g, j, a.dim), x = a.x.head(g, j, a.dim), dx = a.dx.head(g, j, a.dim);
    for (int64_t m = 0; m < x.rows; m++) {
      const double s = double(a.rstd[m * a.heads + h]), centre = a.centred ? mean_of(x, m) : 0;
      double mean = 0, mean_g = 0;
      for (int64_t c = 0; c < a.dim; c++) {
        const double g_c = double(dy.get(m, c)) * double(a.w[own + c]);
        mean += g_c * (double(x.get(m, c)) - centre) / double(a.dim);
        if (a.centred) mean_g += g_c / double(a.dim);
      }
      for (int64_t c = 0; c < a.dim; c++) {
        dx.set(m, c, float(s * (double(dy.get(m, c)) * double(a.w[own + c]) - (double(x.get(m, c)) - centre) * s * s * mean - mean_g)));
      }
    }
  }
}

// A rotation's transpose is the rotation backwards: the gradient of x is the inverse turn of the gradient of its result.
void RefBackend::do_rope(const RopeArgs& a) {
  const int64_t half = a.rotary_dim / 2, per_group = a.heads / a.groups;
  for (int64_t m = 0; m < a.x.mat.rows; m++) {
    for (int64_t h = 0; h < a.heads; h++) {
      const Mat x = a.x.head(h / per_group, h % per_group, a.head_dim);
      for (int64_t i = 0; i < half; i++) {
        const double c = double(a.cos[a.positions[m] * half + i]),
                     s = double(a.sin[a.positions[m] * half + i]) * (a.inverse ? -1 : 1);
        const int64_t one = a.interleaved ? 2 * i : i, other = a.interleaved ? 2 * i + 1 : i + half;
        const double low = double(x.get(m, one)), high = double(x.get(m, other));
        x.set(m, one, float(low * c - high * s));
        x.set(m, other, float(high * c + low * s));
      }
    }
  }
}

// f(x) and f'(x).
static std::pair<double, double> activation(Activation f, double x) {
  using std::numbers::pi;
  switch (f) {
    case Activation::silu: {  // x s with s = 1/(1 + e^-x), s' = s (1 - s)
      const double s = 1 / (1 + std::exp(-x));
      return {x * s, s + x * s * (1 - s)};
    }
    case Activation::gelu: {
      const double phi = std::erfc(-x / std::sqrt(2)) / 2;
      return {x * phi, phi + x * std::exp(-x * x / 2) / std::sqrt(2 * pi)};
    }
    case Activation::gelu_tanh: {  // (1 + tanh z) / 2 = 1/(1 + e^-2z), which keeps the digits of small values
      const double root = 2 * std::sqrt(2 / pi), s = 1 / (1 + std::exp(-root * (x + 0.044715 * x * x * x)));
      return {x * s, s + x * s * (1 - s) * root * (1 + 3 * 0.044715 * x * x)};
    }
    case Activation::relu: return {x > 0 ? x : 0.0, x > 0 ? 1.0 : 0.0};
  }
  return {};
}

void RefBackend::do_glu_fwd(const GluFwdArgs& a) {
  for (int64_t m = 0; m < a.g.rows; m++) {
    for (int64_t c = 0; c < a.g.cols; c++) a.a.set(m, c, float(activation(a.f, double(a.g.get(m, c))).first * (a.u ? double(a.u.get(m, c)) : 1.0)));
  }
}

void RefBackend::do_glu_bwd(const GluBwdArgs& a) {
  for (int64_t m = 0; m < a.g.rows; m++) {
    for (int64_t c = 0; c < a.g.cols; c++) {
      const double da = double(a.da.get(m, c)), u = a.u ? double(a.u.get(m, c)) : 1.0;
      const auto [y, derivative] = activation(a.f, double(a.g.get(m, c)));
      a.dg.set(m, c, float(da * u * derivative));
      if (a.u) a.du.set(m, c, float(da * y));
    }
  }
}

void RefBackend::do_soft_cap(const SoftCapArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) a.x.set(m, c, float(double(a.cap) * std::tanh(double(a.x.get(m, c)) / double(a.cap))));
  }
}

void RefBackend::do_zero(const ZeroArgs& a) {
  const Mat& x = a.x;
  for (int64_t r = 0; r < x.rows; r++) {
    for (int64_t c = 0; c < x.cols; c++) x.set(r, c, 0.f);
  }
}

void RefBackend::do_cast(const CastArgs& a) {
  const auto& [src, dst, factor, accumulate] = a;
  for (int64_t r = 0; r < src.rows; r++) {
    for (int64_t c = 0; c < src.cols; c++) {
      const double value = double(factor) * double(src.get(r, c));
      dst.set(r, c, float(accumulate ? double(dst.get(r, c)) + value : value));
    }
  }
}

void RefBackend::do_gather_rows(const GatherArgs& a) {
  const auto& [src, rows, dst] = a;
  for (int64_t r = 0; r < dst.rows; r++) {
    for (int64_t c = 0; c < dst.cols; c++) dst.set(r, c, src.get(rows[r], c));
  }
}

void RefBackend::do_scatter_rows(const ScatterArgs& a) {
  const auto& [src, rows, dst] = a;
  for (int64_t r = 0; r < src.rows; r++) {
    for (int64_t c = 0; c < src.cols; c++) dst.set(rows[r], c, src.get(r, c));
  }
}

}  // namespace lowrank
