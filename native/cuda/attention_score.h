// A score of attention and its mask, for every kernel that computes one.
#pragma once
#include "cuda/compat.h"
#include "ops/arguments.h"

namespace lowrank::cuda {

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
