// Attention of few queries, as in generation: dot products straight from the rows of k and v.
#include <algorithm>
#include <cmath>

#include "cpu/attention_rows.h"
#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {
constexpr int64_t kFetched = 64;  // keys that are asked for ahead
}  // namespace

// Query heads that go one after the other in a task: those of one key/value head, or fewer where there are too few tasks for the threads.
int64_t CpuBackend::heads_of_run(const AttentionShape& s, int64_t sequences) const {
  const int64_t threads = pool_.threads();
  return sequences * s.kv_heads >= 2 * threads ? s.heads / s.kv_heads : (s.heads + threads - 1) / threads;
}

// o and lse of `count` heads of a sequence's queries. The first of them asks for the keys and values of all. scores: room for the keys.
void CpuBackend::few_queries(const AttentionFwdArgs& a, int64_t sequence, int64_t first, int64_t count, float* scores) {
  const AttentionShape& s = a.shape;
  const int64_t dim = s.head_dim, group = s.heads / s.kv_heads, groups_end = (first + count - 1) / group + 1;
  const int64_t queries = s.q_offsets[sequence + 1] - s.q_offsets[sequence], keys = s.kv_offsets[sequence + 1] - s.kv_offsets[sequence];
  const bool dots = a.q.mat.dtype == DType::bf16 && k_.gemv_bf16;
  const float scale = s.soft_cap > 0 || s.bias ? 1.f : s.scale;  // of the scores as the softmax finds them
  std::vector<float> wide(size_t(2 * dim));
  float *const q32 = wide.data(), *const out = q32 + dim;
  for (int64_t head = first; head < first + count; head++) {
    for (int64_t query = 0; query < queries; query++) {
      const int64_t row = s.q_offsets[sequence] + query, visible = s.visible(query, queries, keys);
      const int64_t g = head / group, k0 = s.kv_offsets[sequence] + s.hidden(visible), n = visible - s.hidden(visible);
      const Mat k = a.k.head(g, 0, dim).slice(k0, n), v = a.v.head(g, 0, dim).slice(k0, n);
      const Mat q = query_head(a.q, head, group, dim).slice(row, 1), o = query_head(a.o, head, dim).slice(row, 1);
      if (!dots) rk_.widen(q.data, q.dtype, dim, q32);
      for (int64_t j = 0; j < n; j += kFetched) {
        const int64_t some = std::min(kFetched, n - j), next = std::min(kFetched, n - j - some);
        for (int64_t i = g; head == first && query == 0 && i < groups_end; i++) {
          fetch(a.k.head(i, 0, dim).slice(k0 + j + some, next));
          fetch(a.v.head(i, 0, dim).slice(k0 + j, some));
        }
        const Mat part = k.slice(j, some);
        if (dots) {
          const Weight right{.data = part.data, .format = Format::bf16, .rows = some, .cols = k.ld};
          k_.gemv_bf16(static_cast<const bf16_t*>(q.data), dim, 1, right, 0, some, 0, dim, scores + j, n);
        } else {
          k_.gemv(q32, dim, 1, part.data, k.dtype, k.ld, dim, some, scores + j, n);
        }
      }
      shape_scores(s, rk_, scores, n, head, s.hidden(visible));
      const float top = rk_.max(scores, n) * scale, sum = rk_.exp_sum(scores, n, scale, top);
      drop(s, rk_, scores, n, DType::f32, row, head, s.hidden(visible));
      rk_.weighted_sum(v.data, v.dtype, v.ld, n, dim, scores, out);
      rk_.epilogue(out, 1 / sum, nullptr, dim, o.dtype, false, o.data);
      if (a.lse) a.lse[row * s.heads + head] = top + std::log(sum);
    }
  }
}

}  // namespace lowrank::cpu
