// Attention over ragged sequences in blocks of queries and keys (Dao et al., 2022): no T x T matrix exists.
// Keys and values are packed into panels once per sequence and key/value head and shared by all query heads of the group.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/attention_rows.h"
#include "cpu/cpu_backend.h"
#include "cpu/panel_ops.h"

namespace lowrank::cpu {

namespace {

constexpr int64_t kQueriesFwd = 32;  // rows of a strip of scores: a panel's keys are skipped above the causal diagonal
constexpr int64_t kQueriesBwd = 64;  // more, for dk and dv are read and written once per strip
constexpr int64_t kKeys = 512;       // columns of a strip; longer sequences take several, with a running softmax
// Strides of the strips, off the powers of two whose rows would share cache sets.
constexpr int64_t kStripLd = kKeys + 16, kLeftLd = kKeys + 32;

// Parts of one thread's scratch and of the packed panels, in bytes.
struct Parts {
  int64_t q, d_o, q_t, do_t, strip, d_strip, left, panels, panels_bytes, acc, dk_t, dv_t, scores, thread_end;
  int64_t along_dim, along_keys;  // bytes of packed keys or values for 32 keys: contraction along D; along the keys
  int64_t key_capacity, packed_end;
};

Parts parts(const OpLimits& l, const PanelOps& ops) {
  Parts p{};
  const auto take = [&](int64_t bytes) {
    const int64_t at = p.thread_end;
    p.thread_end += round_up(bytes, 64);
    return at;
  };
  const int64_t dim = ops.depth(l.head_dim), columns = round_up(l.head_dim, kPanelCols);
  const int64_t queries = l.training ? kQueriesBwd : kQueriesFwd;
  p.q = take(queries * dim * ops.bytes());
  p.strip = take(queries * kStripLd * 4);
  p.left = take(queries * kLeftLd * 4);
  p.acc = take(queries * columns * 4);
  p.scores = take(std::min(kFewHeads, l.heads / std::max<int64_t>(1, l.kv_heads)) * std::max(l.kv_tokens, l.max_sequence) * 4);
  if (l.training) {
    p.d_o = take(queries * dim * ops.bytes());
    p.q_t = take(l.head_dim * ops.depth(queries) * ops.bytes());
    p.do_t = take(l.head_dim * ops.depth(queries) * ops.bytes());
    p.d_strip = take(queries * kStripLd * 4);
    p.panels_bytes = kKeys / kPanelCols * ops.panel_bytes(queries);
    p.panels = take(2 * p.panels_bytes);
    p.dk_t = take(l.head_dim * round_up(l.max_sequence, kPanelCols) * 4);
    p.dv_t = take(l.head_dim * round_up(l.max_sequence, kPanelCols) * 4);
  }
  p.along_dim = ops.panel_bytes(l.head_dim);
  p.along_keys = columns / kPanelCols * ops.panel_bytes(kPanelStep);
  p.key_capacity = round_up(std::max(l.kv_tokens, l.max_sequence), kPanelCols);
  const int64_t per_32_keys = l.training ? 2 * p.along_dim + p.along_keys : p.along_dim + p.along_keys;
  p.packed_end = p.key_capacity / kPanelCols * l.kv_heads * per_32_keys;
  return p;
}

// One sequence's part of the packed panels.
struct Packed {
  char *along_dim_k, *along_dim_v, *along_keys;
};

// Consecutive sequences whose panels fit the workspace together.
template <class F>
void for_rounds(const AttentionShape& s, int64_t key_capacity, F&& f) {
  for (int64_t first = 0; first < s.sequences;) {
    int64_t keys = 0, last = first;
    for (; last < s.sequences; last++) {
      const int64_t n = round_up(s.kv_offsets[last + 1] - s.kv_offsets[last], kPanelCols);
      if (last > first && keys + n > key_capacity) break;
      keys += n;
    }
    f(first, last);
    first = last;
  }
}

int64_t panels_for(int64_t keys) { return (keys + kPanelCols - 1) / kPanelCols; }

}  // namespace

int64_t CpuBackend::attention_workspace(const OpLimits& l, int threads, const InstructionSet& isa) {
  const Parts p = parts(l, PanelOps(isa, l.act));
  return threads * p.thread_end + p.packed_end;
}

void CpuBackend::do_attention_fwd(const AttentionFwdArgs& a) {
  const AttentionShape& s = a.shape;
  const PanelOps ops(isa_, a.q.mat.dtype);
  const Parts p = parts(limits_, ops);
  const int64_t dim = s.head_dim, group = s.heads / s.kv_heads, columns = round_up(dim, kPanelCols);
  char* const packed = work_ + pool_.threads() * p.thread_end;
  const float scale = s.soft_cap > 0 || s.bias ? 1.f : s.scale;  // of the scores as the softmax finds them
  const auto queries = [&](int64_t i) { return int64_t(s.q_offsets[i + 1]) - s.q_offsets[i]; };
  const auto keys = [&](int64_t i) { return int64_t(s.kv_offsets[i + 1]) - s.kv_offsets[i]; };

  const auto block = [&](int64_t sequence, int64_t head, int64_t first, char* scratch, const Packed& panels) {
    const int64_t rows = std::min(kQueriesFwd, queries(sequence) - first), row0 = s.q_offsets[sequence] + first;
    // Query r of the block sees the keys below visible(r), and no query sees the keys before `begin`.
    const auto visible = [&](int64_t r) { return s.visible(first + r, queries(sequence), keys(sequence)); };
    const int64_t extent = visible(rows - 1), begin = s.hidden(visible(0)) / kPanelCols * kPanelCols;
    float* const strip = reinterpret_cast<float*>(scratch + p.strip);
    float* const acc = reinterpret_cast<float*>(scratch + p.acc);
    bf16_t* const left = reinterpret_cast<bf16_t*>(scratch + p.left);
    const Mat o = query_head(a.o, head, dim).slice(row0, rows);
    const LeftOperand q = ops.left(query_head(a.q, head, group, dim).slice(row0, rows), scratch + p.q);
    const int64_t next = head + pool_.threads();
    if (next < s.heads) fetch(query_head(a.q, next, group, dim).slice(row0, rows));
    fetch(o, true);
    float top[kQueriesFwd], sum[kQueriesFwd];
    std::fill_n(top, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, rows, 0.f);
    for (int64_t k0 = begin; k0 < extent; k0 += kKeys) {
      const int64_t n = std::min(kKeys, extent - k0);
      ops.gemm_panels(q.data, q.ld, panels.along_dim_k + k0 / kPanelCols * p.along_dim, panels_for(n), dim, rows, false, strip, kStripLd);
      for (int64_t r = 0; r < rows; r++) {
        float* const scores = strip + r * kStripLd;
        const int64_t seen = std::clamp<int64_t>(visible(r) - k0, 0, n), from = std::clamp<int64_t>(s.hidden(visible(r)) - k0, 0, seen);
        if (seen > from) {
          const int64_t some = seen - from;
          shape_scores(s, rk_, scores + from, some, head, k0 + from);
          const float new_top = std::max(top[r], rk_.max(scores + from, some) * scale);
          const float factor = k0 > begin ? std::exp(top[r] - new_top) : 0.f;
          const float part = ops.dots() ? rk_.exp_sum_bf16(scores + from, some, round_up(n, kPanelStep) - from, scale, new_top, left + r * kLeftLd + from)
                                        : rk_.exp_sum(scores + from, some, scale, new_top);
          if (ops.dots()) drop(s, rk_, left + r * kLeftLd + from, some, DType::bf16, row0 + r, head, k0 + from);
          else drop(s, rk_, scores + from, some, DType::f32, row0 + r, head, k0 + from);
          sum[r] = sum[r] * factor + part;
          top[r] = new_top;
          if (k0 > begin && factor != 1.f) rk_.scale(acc + r * columns, columns, factor);
        }
        if (ops.dots()) std::fill_n(left + r * kLeftLd, from, bf16_t(0));
        else std::fill_n(scores, from, 0.f);
        if (!ops.dots()) std::fill(scores + seen, scores + n, 0.f);
        else if (seen == from) std::fill_n(left + r * kLeftLd, round_up(n, kPanelStep), bf16_t(0));
      }
      const void* const weights = ops.dots() ? static_cast<const void*>(left) : strip;
      const int64_t ld = ops.dots() ? kLeftLd : kStripLd;
      for (int64_t c = 0; c < columns; c += kPanelCols) {
        const char* panel = panels.along_keys + c / kPanelCols * ops.panel_bytes(keys(sequence)) + ops.panel_bytes(k0);
        ops.gemm(weights, ld, panel, n, rows, k0 > begin, acc + c, columns);
      }
    }
    for (int64_t r = 0; r < rows; r++) {
      rk_.epilogue(acc + r * columns, 1 / sum[r], nullptr, dim, o.dtype, false, o.row(r));
      if (a.lse) a.lse[(row0 + r) * s.heads + head] = top[r] + std::log(sum[r]);
    }
  };

  const auto scores_at = [&](char* scratch) { return reinterpret_cast<float*>(scratch + p.scores); };
  const int64_t run = heads_of_run(s, s.sequences);

  for_rounds(s, p.key_capacity, [&](int64_t first, int64_t last) {
    // Where each sequence's panels begin, in units of 32 keys, and its blocks of queries.
    std::vector<int64_t> at{0}, blocks{0};
    for (int64_t i = first; i < last; i++) {
      const bool few = queries(i) <= kFewQueries;
      at.push_back(at.back() + (few ? 0 : round_up(keys(i), kPanelCols) / kPanelCols));
      blocks.push_back(blocks.back() + (few ? 1 : (queries(i) + kQueriesFwd - 1) / kQueriesFwd));
    }
    const auto panels_of = [&](int64_t i, int64_t g) {
      const int64_t n = at[size_t(i - first) + 1] - at[size_t(i - first)];
      char* const k = packed + (at[size_t(i - first)] * s.kv_heads + g * n) * (p.along_dim + p.along_keys);
      return Packed{k, nullptr, k + n * p.along_dim};
    };
    pool_.run(at.back() > 0 ? (last - first) * s.kv_heads : 0, [&](int64_t task, int) {
      const int64_t i = first + task / s.kv_heads, g = task % s.kv_heads, k0 = s.kv_offsets[i];
      if (queries(i) <= kFewQueries) return;
      const Packed panels = panels_of(i, g);
      ops.pack_along_columns(a.k.head(g, 0, dim).slice(k0, keys(i)), panels.along_dim_k);
      ops.pack_along_rows(a.v.head(g, 0, dim).slice(k0, keys(i)), panels.along_keys);
    });
    pool_.run(blocks.back() * s.heads, [&](int64_t task, int thread) {
      // The last blocks of a causal sequence see the most keys: they go first.
      const int64_t number = blocks.back() - 1 - task / s.heads, head = task % s.heads;
      const int64_t i = first + (std::upper_bound(blocks.begin(), blocks.end(), number) - blocks.begin()) - 1;
      char* const scratch = work_ + thread * p.thread_end;
      if (queries(i) <= kFewQueries) {
        if (head % run == 0) few_queries(a, i, head, std::min(run, s.heads - head), scores_at(scratch));
        return;
      }
      ops.begin();
      block(i, head, (number - blocks[size_t(i - first)]) * kQueriesFwd, scratch, panels_of(i, head / group));
      ops.end();
    });
  });
}

void CpuBackend::do_attention_fwd_of_each(std::span<const AttentionFwdArgs> texts) {
  const auto few = [](const AttentionFwdArgs& a) { return a.shape.sequences == 1 && a.shape.q_offsets[1] - a.shape.q_offsets[0] <= kFewQueries; };
  if (!std::all_of(texts.begin(), texts.end(), few)) return HostBackend::do_attention_fwd_of_each(texts);
  const AttentionShape& s = texts[0].shape;
  const Parts p = parts(limits_, PanelOps(isa_, texts[0].q.mat.dtype));
  const int64_t run = heads_of_run(s, int64_t(texts.size())), runs = (s.heads + run - 1) / run;
  pool_.run(int64_t(texts.size()) * runs, [&](int64_t task, int thread) {
    const int64_t head = task % runs * run;
    few_queries(texts[size_t(task / runs)], 0, head, std::min(run, s.heads - head), reinterpret_cast<float*>(work_ + thread * p.thread_end + p.scores));
  });
}

// One task per sequence and key/value head: its query heads follow one another, so that dk and dv are sums in a fixed order.
// dk and dv are accumulated transposed, (D, keys): then p and ds are right operands as they come out of the softmax, and
// only the small q and do are transposed.
void CpuBackend::do_attention_bwd(const AttentionBwdArgs& a) {
  const AttentionShape& s = a.shape;
  const PanelOps ops(isa_, a.q.mat.dtype);
  const Parts p = parts(limits_, ops);
  const int64_t dim = s.head_dim, group = s.heads / s.kv_heads, columns = round_up(dim, kPanelCols);
  // With a mask between them, p and ds are computed in f32 and rounded as they are packed.
  const bool fused = ops.dots() && !s.dropout.active();
  const float cap = s.soft_cap > 0 ? s.soft_cap : s.bias ? std::numeric_limits<float>::infinity() : 0.f;  // as softmax_bwd_capped's
  char* const packed = work_ + pool_.threads() * p.thread_end;

  const auto block = [&](int64_t sequence, int64_t head, int64_t first, char* scratch, const Packed& panels) {
    const int64_t n_all = s.q_offsets[sequence + 1] - s.q_offsets[sequence], ld_t = round_up(n_all, kPanelCols);
    const int64_t rows = std::min(kQueriesBwd, n_all - first), row0 = s.q_offsets[sequence] + first;
    const auto visible = [&](int64_t r) { return s.visible(first + r, n_all, n_all); };
    const int64_t extent = visible(rows - 1);
    const int64_t begin = s.hidden(visible(0)) / kPanelCols * kPanelCols;  // no query of the block sees the keys before it
    const Mat q = query_head(a.q, head, group, dim).slice(row0, rows), dq = query_head(a.dq, head, group, dim).slice(row0, rows);
    const Mat d_o = query_head(a.d_o, head, dim).slice(row0, rows), o = query_head(a.o, head, dim).slice(row0, rows);
    char *const q_t = scratch + p.q_t, *const do_t = scratch + p.do_t;
    float *const strip = reinterpret_cast<float*>(scratch + p.strip), *const d_strip = reinterpret_cast<float*>(scratch + p.d_strip);
    float *const acc = reinterpret_cast<float*>(scratch + p.acc);
    float *const dk_t = reinterpret_cast<float*>(scratch + p.dk_t), *const dv_t = reinterpret_cast<float*>(scratch + p.dv_t);
    if (first + rows < n_all || head % group + 1 < group) {
      const bool same = first + rows < n_all;
      const int64_t row = same ? row0 + rows : int64_t(s.q_offsets[sequence]), n = std::min(kQueriesBwd, s.q_offsets[sequence + 1] - row);
      const int64_t next = same ? head : head + 1;
      for (const Mat& m : {query_head(a.q, next, group, dim), query_head(a.d_o, next, dim), query_head(a.o, next, dim)}) fetch(m.slice(row, n));
    }
    fetch(dq, true);
    const LeftOperand q_left = ops.left(q, scratch + p.q), do_left = ops.left(d_o, scratch + p.d_o);
    ops.left_transposed(q, q_t);
    ops.left_transposed(d_o, do_t);
    float delta[kQueriesBwd];
    for (int64_t r = 0; r < rows; r++) delta[r] = rk_.dot(d_o.row(r), o.row(r), dim, o.dtype);
    for (int64_t k0 = begin; k0 < extent; k0 += kKeys) {
      const int64_t n = std::min(kKeys, extent - k0);
      const int64_t at = k0 / kPanelCols * p.along_dim, columns32 = round_up(n, kPanelCols);
      ops.gemm_panels(q_left.data, q_left.ld, panels.along_dim_k + at, panels_for(n), dim, rows, false, strip, kStripLd);
      ops.gemm_panels(do_left.data, do_left.ld, panels.along_dim_v + at, panels_for(n), dim, rows, false, d_strip, kStripLd);
      for (int64_t r = 0; r < rows; r++) shape_scores(s, rk_, strip + r * kStripLd, n, head, k0);
      char *const p_panels = scratch + p.panels, *const ds_panels = p_panels + p.panels_bytes;
      bf16_t* const left = reinterpret_cast<bf16_t*>(scratch + p.left);
      const void* ds_left = d_strip;
      int64_t ds_ld = kStripLd;
      if (fused) {
        const int64_t panel_elements = ops.panel_bytes(rows) / 2;
        // Pairs of rows, in the panels' layout. Zeros fill the last step of k.
        for (int64_t r = 0; r < ops.depth(rows); r += 2) {
          SoftmaxRow pair[2];
          for (int64_t i = 0; i < 2; i++) {
            const int64_t row = std::min(r + i, rows - 1), seen = r + i < rows ? std::clamp<int64_t>(visible(row) - k0, 0, n) : 0;
            const int64_t from = std::clamp<int64_t>(s.hidden(visible(row)) - k0, 0, seen);
            // A row that is not there is computed from the last one, and is all zero.
            pair[i] = {strip + row * kStripLd, d_strip + row * kStripLd, from, seen, a.lse[(row0 + row) * s.heads + head], delta[row],
                       left + (r + i) * kLeftLd};
          }
          const int64_t place = r / kPanelStep * kPanelStep * kPanelCols + r % kPanelStep / 2 * 32;
          rk_.softmax_bwd_pair(pair, columns32, s.scale, cap, reinterpret_cast<bf16_t*>(p_panels) + place, reinterpret_cast<bf16_t*>(ds_panels) + place,
                               panel_elements);
        }
        ds_left = left;
        ds_ld = kLeftLd;
      }
      for (int64_t r = 0; r < rows && !fused; r++) {
        const int64_t seen = std::clamp<int64_t>(visible(r) - k0, 0, n), end = round_up(n, kPanelStep);
        const int64_t from = std::clamp<int64_t>(s.hidden(visible(r)) - k0, 0, seen);
        float *const pr = strip + r * kStripLd, *const ds = d_strip + r * kStripLd, lse = a.lse[(row0 + r) * s.heads + head];
        drop(s, rk_, ds + from, seen - from, DType::f32, row0 + r, head, k0 + from);
        if (cap > 0) rk_.softmax_bwd_capped(pr + from, ds + from, seen - from, s.scale, cap, lse, delta[r]);
        else rk_.softmax_bwd(pr + from, ds + from, seen - from, s.scale, lse, delta[r]);
        drop(s, rk_, pr + from, seen - from, DType::f32, row0 + r, head, k0 + from);
        std::fill(pr, pr + from, 0.f);
        std::fill(ds, ds + from, 0.f);
        std::fill(pr + seen, pr + end, 0.f);
        std::fill(ds + seen, ds + end, 0.f);
        if (ops.dots()) rk_.narrow(ds, end, DType::bf16, left + r * kLeftLd);
      }
      if (!fused) {
        if (ops.dots()) {
          ds_left = left;
          ds_ld = kLeftLd;
        }
        ops.pack_along_rows(Mat(strip, DType::f32, rows, columns32, kStripLd), p_panels);
        ops.pack_along_rows(Mat(d_strip, DType::f32, rows, columns32, kStripLd), ds_panels);
      }
      ops.gemm_panels(do_t, ops.depth(rows), p_panels, panels_for(n), rows, dim, true, dv_t + k0, ld_t);
      ops.gemm_panels(q_t, ops.depth(rows), ds_panels, panels_for(n), rows, dim, true, dk_t + k0, ld_t);
      for (int64_t c = 0; c < columns; c += kPanelCols) {
        const char* k_panel = panels.along_keys + c / kPanelCols * ops.panel_bytes(n_all) + ops.panel_bytes(k0);
        ops.gemm(ds_left, ds_ld, k_panel, n, rows, k0 > begin, acc + c, columns);
      }
    }
    for (int64_t r = 0; r < rows; r++) {
      rk_.narrow(acc + r * columns, dim, dq.dtype, dq.row(r));
    }
  };

  // (D, keys) f32 -> rows of dst, some at a time
  const auto write_transposed = [&](const float* t, int64_t ld_t, const Mat& dst, float* some) {
    for (int64_t i = 0; i < dst.rows; i += kPanelCols) {
      const int64_t n = std::min(kPanelCols, dst.rows - i);
      k_.transpose_32(reinterpret_cast<const uint32_t*>(t + i), ld_t, dim, n, reinterpret_cast<uint32_t*>(some), dim);
      for (int64_t r = 0; r < n; r++) rk_.narrow(some + r * dim, dim, dst.dtype, dst.row(i + r));
    }
  };

  for_rounds(s, p.key_capacity, [&](int64_t first, int64_t last) {
    std::vector<int64_t> at{0};
    for (int64_t i = first; i < last; i++) at.push_back(at.back() + round_up(s.q_offsets[i + 1] - s.q_offsets[i], kPanelCols) / kPanelCols);
    pool_.run((last - first) * s.kv_heads, [&](int64_t task, int thread) {
      const int64_t i = first + task / s.kv_heads, g = task % s.kv_heads, row0 = s.q_offsets[i], n = s.q_offsets[i + 1] - row0;
      const int64_t n32 = at[size_t(i - first) + 1] - at[size_t(i - first)], ld_t = round_up(n, kPanelCols);
      char* const mine = packed + (at[size_t(i - first)] * s.kv_heads + g * n32) * (2 * p.along_dim + p.along_keys);
      const Packed panels{mine, mine + n32 * p.along_dim, mine + 2 * n32 * p.along_dim};
      char* const scratch = work_ + thread * p.thread_end;
      const Mat k = a.k.head(g, 0, dim).slice(row0, n), v = a.v.head(g, 0, dim).slice(row0, n);
      ops.pack_along_columns(k, panels.along_dim_k);
      ops.pack_along_columns(v, panels.along_dim_v);
      ops.pack_along_rows(k, panels.along_keys);
      float *const dk_t = reinterpret_cast<float*>(scratch + p.dk_t), *const dv_t = reinterpret_cast<float*>(scratch + p.dv_t);
      std::fill_n(dk_t, dim * ld_t, 0.f);
      std::fill_n(dv_t, dim * ld_t, 0.f);
      ops.begin();
      for (int64_t h = g * group; h < (g + 1) * group; h++) {
        for (int64_t b = 0; b < n; b += kQueriesBwd) block(i, h, b, scratch, panels);
      }
      ops.end();
      float* const row = reinterpret_cast<float*>(scratch + p.strip);
      write_transposed(dk_t, ld_t, a.dk.head(g, 0, dim).slice(row0, n), row);
      write_transposed(dv_t, ld_t, a.dv.head(g, 0, dim).slice(row0, n), row);
    });
  });
}

}  // namespace lowrank::cpu
