// A score of attention, for every kernel that computes one.
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

}  // namespace lowrank::cuda
