#include <algorithm>
#include <cmath>
#include <vector>

#include "ref/ref_backend.h"

namespace lowrank {

// loss = log sum exp(z) - z_t with z = W x + b:  dloss/dz = softmax(z) - onehot(t);  dx = dz W;  dw += dz^T x;  dbias += dz.
// W has `rows` in the places row_ids.
void RefBackend::do_head(const HeadArgs& a) {
  const int64_t vocab = a.w.rows, dim = a.w.cols;
  const double scale = a.loss_scale * (a.dynamic_scale ? *a.dynamic_scale : 1);
  std::vector<double> z(static_cast<size_t>(vocab));
  std::vector<int64_t> replaced(z.size(), -1);
  for (int64_t r = 0; r < (a.rows.data ? a.rows.rows : 0); r++) replaced[size_t(a.row_ids[r])] = r;
  const auto weight = [&](int64_t v, int64_t c) {
    const int64_t r = replaced[size_t(v)];
    return double(r < 0 ? a.w.get(v, c) : a.rows.get(r, c));
  };
  std::vector<double> dw(a.dw || a.drows ? size_t(vocab * dim) : 0), dbias(a.dbias ? size_t(vocab) : 0);
  for (int64_t n = 0; n < a.x.rows; n++) {
    for (int64_t v = 0; v < vocab; v++) {
      double sum = a.bias ? double(a.bias[v]) : 0.0;
      for (int64_t c = 0; c < dim; c++) sum += double(a.x.get(n, c)) * weight(v, c);
      z[size_t(v)] = a.soft_cap > 0 ? double(a.soft_cap) * std::tanh(sum / double(a.soft_cap)) : sum;
    }
    const double top = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double logit : z) sum += std::exp(logit - top);
    const double lse = top + std::log(sum);
    *a.loss_sum += lse - z[size_t(a.labels[n])];
    if (!a.dx) continue;
    for (int64_t v = 0; v < vocab; v++) {
      const double logit = z[size_t(v)] - lse, capped = a.soft_cap > 0 ? z[size_t(v)] / double(a.soft_cap) : 0;
      // softmax - 1 without losing the digits that the difference has.
      z[size_t(v)] = scale * (1 - capped * capped) * (v == a.labels[n] ? std::expm1(logit) : std::exp(logit));
    }
    for (int64_t c = 0; c < dim; c++) {
      double dx = 0;
      for (int64_t v = 0; v < vocab; v++) dx += z[size_t(v)] * weight(v, c);
      a.dx.set(n, c, float(dx));
    }
    for (int64_t v = 0; v < vocab; v++) {
      for (int64_t c = 0; c < (dw.empty() ? 0 : dim); c++) dw[size_t(v * dim + c)] += z[size_t(v)] * double(a.x.get(n, c));
      if (a.dbias) dbias[size_t(v)] += z[size_t(v)];
    }
  }
  for (size_t i = 0; i < (a.dw ? dw.size() : 0); i++) a.dw[i] = float(double(a.dw[i]) + dw[i]);
  for (int64_t i = 0; i < (a.drows ? a.rows.rows * dim : 0); i++) {
    a.drows[i] = float(double(a.drows[i]) + dw[size_t(int64_t(a.row_ids[i / dim]) * dim + i % dim)]);
  }
  for (size_t v = 0; v < dbias.size(); v++) a.dbias[v] = float(double(a.dbias[v]) + dbias[v]);
}

}  // namespace lowrank
