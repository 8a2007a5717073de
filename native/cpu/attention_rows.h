// What attention by blocks and attention of one query share: heads, and what happens to the scores of one query.
#pragma once
#include "cpu/prefetch.h"
#include "cpu/row_kernels.h"
#include "ops/arguments.h"

namespace lowrank::cpu {

constexpr int64_t kFewHeads = 8;  // query heads of a key/value head that read its keys and values together, in generation
constexpr int64_t kFewQueries = 4;  // up to so many go one by one, as in generation: packing the keys would cost more than the products

// Query head h, of groups of `group` heads; in o and its gradient the heads lie side by side.
inline Mat query_head(const Heads& x, int64_t h, int64_t group, int64_t dim) { return x.head(h / group, h % group, dim); }
inline Mat query_head(const Mat& o, int64_t h, int64_t dim) { return Heads{o, 0, 0, dim}.head(0, h, dim); }

// A head's rows lie apart, which no core foresees. Rows to be read are asked for a block ahead, rows to be written at a block's
// beginning.
inline __attribute__((always_inline)) void fetch(const Mat& x, bool to_write = false) {
  prefetch_rows(x.data, x.ld * dtype_bytes(x.dtype), x.rows, x.cols * dtype_bytes(x.dtype), to_write);
}

// Scores of one query from a key of its sequence on: capped, or with their biases; others are scaled by the softmax.
inline void shape_scores(const AttentionShape& s, const RowKernels& k, float* scores, int64_t n, int64_t head, int64_t key) {
  if (s.soft_cap > 0) k.soft_cap(scores, n, DType::f32, s.scale, s.soft_cap);
  else if (s.bias) k.shift_scores(scores, n, s.scale, s.bias + head * s.bias_ld + key);
}

// The mask over n values of a query from a key of its sequence on.
inline void drop(const AttentionShape& s, const RowKernels& k, void* values, int64_t n, DType dtype, int64_t row, int64_t head, int64_t key) {
  if (s.dropout.active()) k.dropout(values, n, dtype, s.dropout, s.dropout_index(row, s.heads, head, key), values);
}

}  // namespace lowrank::cpu
