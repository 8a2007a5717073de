// A score of attention and its mask, for every kernel that computes one.
#pragma once
#include "cuda/compat.h"
#include "ops/arguments.h"

namespace lowrank::cuda {

// Rows of a sequence, and the sequence that a row is in.
struct Sequence {
  int64_t first, count;
};
__device__ __forceinline__ Sequence rows_of(const int32_t* offsets, int64_t sequence) { return {offsets[sequence], offsets[sequence + 1] - offsets[sequence]}; }
__device__ __forceinline__ int64_t sequence_of(const int32_t* offsets, int64_t sequences, int64_t row) {
  int64_t low = 0, high = sequences - 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (offsets[middle] <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

// A score, and the slope of the cap at it.
struct Score {
  float value, slope;
};
// product: q k^T of a query and a key; key: its place in the sequence.
__device__ __forceinline__ Score score_of(const AttentionShape& s, float product, int64_t head, int64_t key) {
  const float score = s.scale * product;
  if (s.bias) return {score + s.bias[head * s.bias_ld + key], 1};
  if (s.soft_cap <= 0) return {score, 1};
  const float share = tanhf(score / s.soft_cap);
  return {s.soft_cap * share, 1 - share * share};
}

// The factor that dropout gives a weight: of a query's row, a head, and the key's place in the sequence.
__device__ __forceinline__ float mask_of(const AttentionShape& s, int64_t row, int64_t head, int64_t key) {
  if (!s.dropout.active()) return 1;
  const Dropout d = s.dropout.now();
  return d.keep(s.dropout_index(row, s.heads, head, key)) ? 1.f / (1.f - d.p) : 0.f;
}

}  // namespace lowrank::cuda
