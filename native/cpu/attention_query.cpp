// Attention of few queries, as in generation: dot products straight from the rows of k and v.
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "cpu/attention_rows.h"
#include "cpu/cpu_backend.h"

namespace lowrank::cpu {

namespace {
constexpr int64_t kAsked = 32;  // first values that are asked for before the softmax; weighted_sums asks for the others
}  // namespace

// Some of the third cache, which is shared, may keep them.
void CpuBackend::will_read(std::span<const Mat> rows, int64_t beside) {
  static const int64_t most = std::clamp<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE) / 4, 2 << 20, 8 << 20);  // not above 0 where the system does not know
  coming_.set(rows, beside, most);
}

// Query heads that go one after the other in a task: those of one key/value head, or fewer where there are too few tasks for the threads.
int64_t CpuBackend::heads_of_run(const AttentionShape& s, int64_t sequences) const {
  const int64_t threads = pool_.threads();
  return sequences * s.kv_heads >= 2 * threads ? s.heads / s.kv_heads : (s.heads + threads - 1) / threads;
}

// o and lse of `count` heads of a sequence's queries, those of a key/value head together. scores: room for kFewHeads heads' keys.
void CpuBackend::few_queries(const AttentionFwdArgs& a, int64_t sequence, int64_t first, int64_t count, float* scores) {
  const AttentionShape& s = a.shape;
  const int64_t dim = s.head_dim, group = s.heads / s.kv_heads;
  const int64_t queries = s.q_offsets[sequence + 1] - s.q_offsets[sequence], keys = s.kv_offsets[sequence + 1] - s.kv_offsets[sequence];
  const bool dots = a.q.mat.dtype == DType::bf16 && k_.gemv_bf16;
  const float scale = s.soft_cap > 0 || s.bias ? 1.f : s.scale;  // of the scores as the softmax finds them
  std::vector<float> wide(size_t(2 * kFewHeads * dim));
  float *const q32 = wide.data(), *const out = q32 + kFewHeads * dim;
  for (int64_t head = first, together; head < first + count; head += together) {
    const int64_t g = head / group;
    together = dim > kLongestDots ? 1 : std::min({kFewHeads, first + count - head, (g + 1) * group - head});
    for (int64_t query = 0; query < queries; query++) {
      const int64_t row = s.q_offsets[sequence] + query, visible = s.visible(query, queries, keys), hidden = s.hidden(visible), n = visible - hidden;
      const Mat k = a.k.head(g, 0, dim).slice(s.kv_offsets[sequence] + hidden, n), v = a.v.head(g, 0, dim).slice(s.kv_offsets[sequence] + hidden, n);
      const Mat q = query_head(a.q, head, group, dim).slice(row, 1);
      if (dots) {
        const Weight right{.data = k.data, .format = Format::bf16, .rows = n, .cols = k.ld};
        k_.gemv_bf16(static_cast<const bf16_t*>(q.data), a.q.head_stride, together, right, 0, n, 0, dim, scores, n, {});
      } else {
        for (int64_t i = 0; i < together; i++) rk_.widen(query_head(a.q, head + i, group, dim).row(row), q.dtype, dim, q32 + i * dim);
        k_.gemv(q32, dim, together, k.data, k.dtype, k.ld, dim, n, scores, n, {});
      }
      fetch(v.slice(0, std::min(n, kAsked)));
      float tops[kFewHeads], sums[kFewHeads];
      for (int64_t i = 0; i < together; i++) {
        float* const mine = scores + i * n;
        shape_scores(s, rk_, mine, n, head + i, hidden);
        tops[i] = rk_.max(mine, n) * scale;
        sums[i] = rk_.exp_sum(mine, n, scale, tops[i]);
        drop(s, rk_, mine, n, DType::f32, row, head + i, hidden);
      }
      rk_.weighted_sums(v.data, v.dtype, v.ld, n, dim, scores, n, together, out, dim);
      for (int64_t i = 0; i < together; i++) {
        const Mat o = query_head(a.o, head + i, dim).slice(row, 1);
        rk_.epilogue(out + i * dim, 1 / sums[i], nullptr, dim, o.dtype, false, o.data);
        if (a.lse) a.lse[row * s.heads + head + i] = tops[i] + std::log(sums[i]);
      }
    }
  }
}

}  // namespace lowrank::cpu
