#include "cuda/attention_products.h"

#include <algorithm>

#include "base/error.h"

namespace lowrank::cuda {

using kernels::HeadCopies;
using kernels::ScoreChunk;

namespace {

int64_t heads_of_group(const AttentionShape& s) { return s.heads / s.kv_heads; }
int64_t elements(const Mat& m) { return m.rows * m.ld; }

// Keys [begin, end) that queries [first, last) of the call's rows may see: what the host knows without the sequences' lengths.
struct Range {
  int64_t begin, end;
};
Range keys_of(const AttentionShape& s, int64_t first, int64_t last, int64_t rows, int64_t keys) {
  const bool is_known = s.causal && (s.sequences == 1 || s.q_offsets == s.kv_offsets);
  if (!is_known) return {0, keys};
  const int64_t past = keys - rows;  // of a cache
  return {s.hidden(past + first + 1), past + last};
}

}  // namespace

HeadCopies AttentionProducts::query_copies(int64_t offset, const AttentionShape& s, int64_t groups, int64_t rows) const {
  const int64_t whole = rows / parts_.queries, rest = rows % parts_.queries;
  return {at(offset, act_, groups * parts_.query_rows, parts_.dim), parts_.query_rows, heads_of_group(s), parts_.queries, whole, rest > 0 ? parts_.chunk_of(rest) : 0};
}
HeadCopies AttentionProducts::key_copies(int64_t offset, DType t, int64_t groups, int64_t keys) const {
  return {at(offset, t, groups * parts_.key_rows, parts_.dim), parts_.key_rows, 1, parts_.key_rows, 0, rounded_keys(keys)};
}

template <class Begin, class Chunk, class End>
void AttentionProducts::each_chunk(const AttentionShape& s, int64_t rows, int64_t keys, Begin&& begin, Chunk&& f, End&& end) const {
  check(parts_.queries > 0, "heads that do not begin at 16 bytes", "attention");
  check(keys <= parts_.key_rows && heads_of_group(s) * rows <= parts_.query_rows, "more rows than planned", "attention");
  for (int64_t g = 0; g < s.kv_heads; g += parts_.groups) {
    const int64_t groups = std::min(parts_.groups, s.kv_heads - g);
    if (plans_only) {  // all shapes that may come
      for (int64_t n = parts_.key_step; n <= parts_.key_rows; n += parts_.key_step) {
        for (int64_t queries = parts_.queries; queries >= AttentionParts::kLeastQueries; queries /= 2) f(ScoreChunk{g, groups, 0, queries, 0, n});
      }
      continue;
    }
    begin(g, groups);
    for (int64_t first = 0; first < rows; first += parts_.queries) {
      const Range seen = keys_of(s, first, std::min(first + parts_.queries, rows), rows, keys);
      const int64_t first_key = seen.begin / parts_.key_step * parts_.key_step;
      f(ScoreChunk{g, groups, first, parts_.chunk_of(rows - first), first_key, rounded_keys(seen.end - first_key)});
    }
    end(g, groups);
  }
}

Mat AttentionProducts::queries(int64_t offset, const AttentionShape& s, const ScoreChunk& c) const {
  const int64_t heads = heads_of_group(s);
  return at(offset, act_, parts_.query_rows, parts_.dim).slice(heads * c.first_query, heads * c.queries);
}
Mat AttentionProducts::keys(int64_t offset, DType t, const ScoreChunk& c) const { return at(offset, t, parts_.key_rows, parts_.dim).slice(c.first_key, c.keys); }
Mat AttentionProducts::scores(int64_t offset, DType t, const AttentionShape& s, const ScoreChunk& c) const { return at(offset, t, heads_of_group(s) * c.queries, c.keys); }

void AttentionProducts::score_product(const Mat& rows, const Mat& keys, const Mat& scores, int64_t groups) const {
  device_.product({.a = rows, .b = keys, .c = scores, .transposes_b = true, .has_any_rows = false, .count = groups,
                   .a_step = parts_.query_rows * parts_.dim, .b_step = parts_.key_rows * parts_.dim, .c_step = elements(scores)});
}
void AttentionProducts::row_product(const Mat& weights, const Mat& keys, const Mat& rows, int64_t groups, float alpha) const {
  device_.product({.a = weights, .b = keys, .c = rows, .alpha = alpha, .has_any_rows = false, .count = groups,
                   .a_step = elements(weights), .b_step = parts_.key_rows * parts_.dim, .c_step = parts_.query_rows * parts_.dim});
}
void AttentionProducts::key_product(const Mat& weights, const Mat& rows, const Mat& keys, int64_t groups, float alpha) const {
  device_.product({.a = weights, .b = rows, .c = keys, .transposes_a = true, .alpha = alpha, .accumulates = true, .has_any_rows = false, .count = groups,
                   .a_step = elements(weights), .b_step = parts_.query_rows * parts_.dim, .c_step = parts_.key_rows * parts_.dim});
}

void AttentionProducts::forward(const AttentionFwdArgs& a) const {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.o.rows, keys_count = a.k.mat.rows;
  const Heads o{a.o, 0, heads_of_group(s) * s.head_dim, s.head_dim};
  const auto copy = [&](int64_t g, int64_t groups) {
    kernels::copy_heads(a.q, g, s.head_dim, query_copies(parts_.q, s, groups, rows), stream_);
    kernels::copy_heads(a.k, g, s.head_dim, key_copies(parts_.k, act_, groups, keys_count), stream_);
    kernels::copy_heads(a.v, g, s.head_dim, key_copies(parts_.v, act_, groups, keys_count), stream_);
  };
  const auto chunk = [&](const ScoreChunk& c) {
    const Mat sums = scores(parts_.scores, DType::f32, s, c), weights = scores(parts_.weights, act_, s, c);
    score_product(queries(parts_.q, s, c), keys(parts_.k, act_, c), sums, c.groups);
    kernels::softmax(a, c, sums, weights, stream_);
    row_product(weights, keys(parts_.v, act_, c), queries(parts_.o, s, c), c.groups);
  };
  each_chunk(s, rows, keys_count, copy, chunk, [&](int64_t g, int64_t groups) { kernels::copy_back(query_copies(parts_.o, s, groups, rows), o, g, s.head_dim, stream_); });
}

void AttentionProducts::backward(const AttentionBwdArgs& a) const {
  const AttentionShape& s = a.shape;
  const int64_t rows = a.q.mat.rows;
  const Heads d_o_heads{a.d_o, 0, heads_of_group(s) * s.head_dim, s.head_dim};
  const auto copy = [&](int64_t g, int64_t groups) {
    kernels::copy_heads(a.q, g, s.head_dim, query_copies(parts_.q, s, groups, rows), stream_);
    kernels::copy_heads(d_o_heads, g, s.head_dim, query_copies(parts_.d_o, s, groups, rows), stream_);
    kernels::copy_heads(a.k, g, s.head_dim, key_copies(parts_.k, act_, groups, rows), stream_);
    kernels::copy_heads(a.v, g, s.head_dim, key_copies(parts_.v, act_, groups, rows), stream_);
    for (const int64_t sums : {parts_.dk, parts_.dv}) kernels::zero({key_copies(sums, DType::f32, groups, rows).all}, stream_);
  };
  const auto chunk = [&](const ScoreChunk& c) {
    const Mat sums = scores(parts_.scores, DType::f32, s, c), d_weights = scores(parts_.d_weights, DType::f32, s, c);
    const Mat weights = scores(parts_.weights, act_, s, c), d_scores = scores(parts_.d_scores, act_, s, c);
    const Mat q = queries(parts_.q, s, c), d_o = queries(parts_.d_o, s, c), k = keys(parts_.k, act_, c);
    score_product(q, k, sums, c.groups);
    score_product(d_o, keys(parts_.v, act_, c), d_weights, c.groups);
    kernels::softmax_bwd(a, c, sums, d_weights, weights, d_scores, stream_);
    key_product(weights, d_o, keys(parts_.dv, DType::f32, c), c.groups);
    row_product(d_scores, k, queries(parts_.o, s, c), c.groups, s.scale);
    key_product(d_scores, q, keys(parts_.dk, DType::f32, c), c.groups, s.scale);
  };
  each_chunk(s, rows, rows, copy, chunk, [&](int64_t g, int64_t groups) {
    kernels::copy_back(query_copies(parts_.o, s, groups, rows), a.dq, g, s.head_dim, stream_);
    kernels::copy_back(key_copies(parts_.dk, DType::f32, groups, rows), a.dk, g, s.head_dim, stream_);
    kernels::copy_back(key_copies(parts_.dv, DType::f32, groups, rows), a.dv, g, s.head_dim, stream_);
  });
}

}  // namespace lowrank::cuda
