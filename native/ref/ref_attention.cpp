#include <algorithm>
#include <cmath>
#include <vector>

#include "ref/ref_backend.h"

namespace lowrank {

namespace {

double dot(const Mat& a, int64_t row_a, int64_t col_a, const Mat& b, int64_t row_b, int64_t col_b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += double(a.get(row_a, col_a + i)) * double(b.get(row_b, col_b + i));
  return sum;
}

// The factor of a probability: 1 without dropout.
double mask(const AttentionShape& s, int64_t row, int64_t head, int64_t key) {
  if (!s.dropout.active()) return 1;
  return s.dropout.keep(s.dropout_index(row, s.heads, head, key)) ? 1 / (1 - double(s.dropout.p)) : 0;
}

// The final score of a head and a key of a sequence.
double shaped(const AttentionShape& s, double qk, int64_t head, int64_t key) {
  const double score = double(s.scale) * qk, cap = double(s.soft_cap);
  if (s.bias) return score + double(s.bias[head * s.bias_ld + key]);
  return cap > 0 ? cap * std::tanh(score / cap) : score;
}

}  // namespace

void RefBackend::do_attention_fwd(const AttentionFwdArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t dim = s.head_dim, group = s.heads / s.kv_heads;
  for (int64_t sequence = 0; sequence < s.sequences; sequence++) {
    const int64_t q0 = s.q_offsets[sequence], nq = s.q_offsets[sequence + 1] - q0;
    const int64_t k0 = s.kv_offsets[sequence], nk = s.kv_offsets[sequence + 1] - k0;
    for (int64_t i = 0; i < nq; i++) {
      for (int64_t h = 0; h < s.heads; h++) {
        const int64_t visible = s.visible(i, nq, nk), first = s.hidden(visible), keys = visible - first;
        const int64_t g = h / group, k_col = a.k.column(g, 0), v_col = a.v.column(g, 0);
        std::vector<double> scores(static_cast<size_t>(keys));
        for (int64_t j = 0; j < keys; j++)
          scores[size_t(j)] =
              shaped(s, dot(a.q.mat, q0 + i, a.q.column(g, h % group), a.k.mat, k0 + first + j, k_col, dim), h, first + j);
        const double top = *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (double& score : scores) sum += score = std::exp(score - top);
        if (a.lse) a.lse[(q0 + i) * s.heads + h] = float(top + std::log(sum));
        for (int64_t d = 0; d < dim; d++) {
          double o = 0;
          for (int64_t j = 0; j < keys; j++) o += mask(s, q0 + i, h, first + j) * scores[size_t(j)] / sum * double(a.v.mat.get(k0 + first + j, v_col + d));
          a.o.set(q0 + i, h * dim + d, float(o));
        }
      }
    }
  }
}

// o = p v with p = softmax(s), s = scale q k^T + bias, or s = cap tanh(scale q k^T / cap), whose slope is 1 - (s / cap)^2:  dv = p^T do;  dp = do v^T;  ds_j = p_j (dp_j - sum_i p_i dp_i), and
// sum_i p_i dp_i = sum_i p_i (do . v_i) = do . o. With dropout o = (mask p) v: dv = (mask p)^T do and dp = mask (do v^T), the rest is as it was;  dq = scale ds k;  dk = scale ds^T q. A key/value head collects the sums
// of the query heads that read it.
void RefBackend::do_attention_bwd(const AttentionBwdArgs& a) {
  const AttentionShape& s = a.shape;
  const int64_t dim = s.head_dim, group = s.heads / s.kv_heads;
  for (int64_t sequence = 0; sequence < s.sequences; sequence++) {
    const int64_t row0 = s.q_offsets[sequence], n = s.q_offsets[sequence + 1] - row0;
    for (int64_t g = 0; g < s.kv_heads; g++) {
      const int64_t k_col = a.k.column(g, 0), v_col = a.v.column(g, 0);
      std::vector<double> dk(static_cast<size_t>(n * dim)), dv(static_cast<size_t>(n * dim));
      for (int64_t h = g * group; h < (g + 1) * group; h++) {
        const int64_t q_col = a.q.column(g, h % group);
        for (int64_t i = 0; i < n; i++) {
          const int64_t row = row0 + i;
          const double delta = dot(a.d_o, row, h * dim, a.o, row, h * dim, dim), lse = double(a.lse[row * s.heads + h]);
          std::vector<double> dq(static_cast<size_t>(dim));
          const int64_t visible = s.visible(i, n, n);
          for (int64_t j = s.hidden(visible); j < visible; j++) {
            const double score = shaped(s, dot(a.q.mat, row, q_col, a.k.mat, row0 + j, k_col, dim), h, j);
            const double p = std::exp(score - lse), share = s.soft_cap > 0 ? score / double(s.soft_cap) : 0;
            const double kept = mask(s, row, h, j);
            const double ds = (1 - share * share) * p * (kept * dot(a.d_o, row, h * dim, a.v.mat, row0 + j, v_col, dim) - delta);
            for (int64_t d = 0; d < dim; d++) {
              dq[size_t(d)] += double(s.scale) * ds * double(a.k.mat.get(row0 + j, k_col + d));
              dk[size_t(j * dim + d)] += double(s.scale) * ds * double(a.q.mat.get(row, q_col + d));
              dv[size_t(j * dim + d)] += kept * p * double(a.d_o.get(row, h * dim + d));
            }
          }
          for (int64_t d = 0; d < dim; d++) a.dq.mat.set(row, a.dq.column(g, h % group) + d, float(dq[size_t(d)]));
        }
      }
      for (int64_t j = 0; j < n; j++) {
        for (int64_t d = 0; d < dim; d++) {
          a.dk.mat.set(row0 + j, a.dk.column(g, 0) + d, float(dk[size_t(j * dim + d)]));
          a.dv.mat.set(row0 + j, a.dv.column(g, 0) + d, float(dv[size_t(j * dim + d)]));
        }
      }
    }
  }
}

}  // namespace lowrank
