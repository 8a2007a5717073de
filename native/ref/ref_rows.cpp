// The operations that work row by row.
#include <cmath>

#include "ref/ref_backend.h"

namespace lowrank {

void RefBackend::do_embedding_fwd(const EmbeddingArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) a.x.set(m, c, a.table.get(a.ids[m], c));
  }
}

void RefBackend::do_norm_fwd(const NormFwdArgs& a) {
  const int64_t n = a.x.cols;
  for (int64_t m = 0; m < a.x.rows; m++) {
    double sum = 0;
    for (int64_t c = 0; c < n; c++) sum += double(a.x.get(m, c)) * double(a.x.get(m, c));
    const double rstd = 1 / std::sqrt(sum / double(n) + double(a.eps));
    if (a.rstd) a.rstd[m] = float(rstd);
    for (int64_t c = 0; c < n; c++) {
      if (a.saved) a.saved.set(m, c, a.x.get(m, c));
      a.h.set(m, c, float(double(a.x.get(m, c)) * rstd * double(a.w[c])));
    }
  }
}

void RefBackend::do_norm_apply(const NormApplyArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) a.h.set(m, c, float(double(a.x.get(m, c)) * double(a.rstd[m]) * double(a.w[c])));
  }
}

// h_c = x_c s w_c with s = (mean(x^2) + eps)^(-1/2), ds/dx_k = -s^3 x_k / n:
//   dL/dx_k = s w_k dh_k + sum_c dh_c x_c w_c ds/dx_k = s (w_k dh_k - x_k s^2 mean(dh w x))
void RefBackend::do_norm_bwd(const NormBwdArgs& a) {
  const int64_t n = a.x.cols;
  for (int64_t m = 0; m < a.x.rows; m++) {
    const double s = double(a.rstd[m]);
    double mean = 0;
    for (int64_t c = 0; c < n; c++) mean += double(a.dh.get(m, c)) * double(a.w[c]) * double(a.x.get(m, c)) / double(n);
    for (int64_t c = 0; c < n; c++) {
      const double g = double(a.dh.get(m, c)) * double(a.w[c]) - double(a.x.get(m, c)) * s * s * mean;
      a.dx.set(m, c, float(double(a.dx.get(m, c)) + s * g));
      if (a.rounded) a.rounded.set(m, c, a.dx.get(m, c));
    }
  }
}

// A rotation's transpose is the rotation backwards: the gradient of x is the inverse turn of the gradient of its result.
void RefBackend::do_rope(const RopeArgs& a) {
  const int64_t half = a.head_dim / 2, per_group = a.heads / a.groups;
  for (int64_t m = 0; m < a.x.mat.rows; m++) {
    for (int64_t h = 0; h < a.heads; h++) {
      const Mat x = a.x.head(h / per_group, h % per_group, a.head_dim);
      for (int64_t i = 0; i < half; i++) {
        const double c = double(a.cos[a.positions[m] * half + i]),
                     s = double(a.sin[a.positions[m] * half + i]) * (a.inverse ? -1 : 1);
        const double low = double(x.get(m, i)), high = double(x.get(m, i + half));
        x.set(m, i, float(low * c - high * s));
        x.set(m, i + half, float(high * c + low * s));
      }
    }
  }
}

void RefBackend::do_swiglu_fwd(const SwigluFwdArgs& a) {
  for (int64_t m = 0; m < a.g.rows; m++) {
    for (int64_t c = 0; c < a.g.cols; c++) {
      const double g = double(a.g.get(m, c));
      a.a.set(m, c, float(g / (1 + std::exp(-g)) * double(a.u.get(m, c))));
    }
  }
}

// silu = g s with s = 1/(1 + e^-g), s' = s (1 - s):  silu' = s + g s (1 - s)
void RefBackend::do_swiglu_bwd(const SwigluBwdArgs& a) {
  for (int64_t m = 0; m < a.g.rows; m++) {
    for (int64_t c = 0; c < a.g.cols; c++) {
      const double da = double(a.da.get(m, c)), g = double(a.g.get(m, c)), u = double(a.u.get(m, c));
      const double s = 1 / (1 + std::exp(-g));
      a.dg.set(m, c, float(da * u * (s + g * s * (1 - s))));
      a.du.set(m, c, float(da * g * s));
    }
  }
}

void RefBackend::do_zero(const ZeroArgs& a) {
  const Mat& x = a.x;
  for (int64_t r = 0; r < x.rows; r++) {
    for (int64_t c = 0; c < x.cols; c++) x.set(r, c, 0.f);
  }
}

void RefBackend::do_cast(const CastArgs& a) {
  const auto& [src, dst] = a;
  for (int64_t r = 0; r < src.rows; r++) {
    for (int64_t c = 0; c < src.cols; c++) dst.set(r, c, src.get(r, c));
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
