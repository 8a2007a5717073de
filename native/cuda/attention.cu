// Attention of any head size, one query or key a block: the form that others are held against, and the fallback. No T x T matrix is stored.
#include "cuda/attention_score.h"
#include "cuda/block.h"
#include "cuda/kernels.h"

namespace lowrank::cuda::kernels {

namespace {

constexpr int kColumns = int(kMostHeadDim) / kThreads;  // of a head, a thread

struct Sequence {
  int64_t first, count;  // rows
};
// The sequence that a row is in.
__device__ int64_t sequence_of(const int32_t* offsets, int64_t sequences, int64_t row) {
  int64_t low = 0, high = sequences - 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (offsets[middle] <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
__device__ Sequence rows_of(const int32_t* offsets, int64_t sequence) { return {offsets[sequence], offsets[sequence + 1] - offsets[sequence]}; }

// A shared vector times columns of a matrix's row.
__device__ float dot(const float* x, const Mat& y, int64_t row, int64_t column, int64_t n) {
  float sum = 0;
#pragma unroll 2
  for (int64_t d = 0; d < n; d++) sum += x[d] * y.get(row, column + d);
  return sum;
}

__device__ void load(float* to, const Mat& from, int64_t row, int64_t column, int64_t n) {
  for (int64_t d = threadIdx.x; d < n; d += blockDim.x) to[d] = from.get(row, column + d);
}

__global__ void __launch_bounds__(kThreads, 1) attention_fwd_kernel(AttentionFwdArgs a) {
  LOWRANK_SHARED(float, parts, kWarp);
  LOWRANK_SHARED(float, query, kMostHeadDim);
  LOWRANK_SHARED(float, weights, kThreads);
  const AttentionShape& s = a.shape;
  const int64_t row = blockIdx.x, h = blockIdx.y, dim = s.head_dim, per_group = s.heads / s.kv_heads, g = h / per_group;
  const int64_t sequence = sequence_of(s.q_offsets, s.sequences, row);
  const Sequence queries = rows_of(s.q_offsets, sequence), keys = rows_of(s.kv_offsets, sequence);
  const int64_t visible = s.visible(row - queries.first, queries.count, keys.count);
  const int64_t k_column = a.k.column(g, 0), v_column = a.v.column(g, 0);
  load(query, a.q.mat, row, a.q.column(g, h % per_group), dim);
  __syncthreads();
  float top = -INFINITY, sum = 0, o[kColumns] = {};
  for (int64_t begin = s.hidden(visible); begin < visible; begin += blockDim.x) {
    const int64_t j = begin + threadIdx.x, count = visible - begin < blockDim.x ? visible - begin : blockDim.x;
    const float score = j < visible ? score_of(s, dot(query, a.k.mat, keys.first + j, k_column, dim), h, j).value : -INFINITY;
    const float higher = larger(top, block_max(score, parts)), fade = expf(top - higher), weight = expf(score - higher);
    top = higher;
    sum = sum * fade + block_sum(weight, parts);
    weights[threadIdx.x] = weight * mask_of(s, row, h, j);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kColumns; i++) {
      const int64_t d = i * blockDim.x + threadIdx.x;
      if (d >= dim) continue;
      o[i] *= fade;
#pragma unroll 1
      for (int64_t k = 0; k < count; k++) o[i] += weights[k] * a.v.mat.get(keys.first + begin + k, v_column + d);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kColumns; i++) {
    const int64_t d = i * blockDim.x + threadIdx.x;
    if (d < dim) a.o.set(row, h * dim + d, o[i] / sum);
  }
  if (a.lse && threadIdx.x == 0) a.lse[row * s.heads + h] = top + logf(sum);
}

// delta = rowsum(do * o), and dq
__global__ void __launch_bounds__(kThreads, 1) attention_dq_kernel(AttentionBwdArgs a, float* deltas) {
  LOWRANK_SHARED(float, parts, kWarp);
  LOWRANK_SHARED(float, query, kMostHeadDim);
  LOWRANK_SHARED(float, gradient, kMostHeadDim);
  LOWRANK_SHARED(float, weights, kThreads);
  const AttentionShape& s = a.shape;
  const int64_t row = blockIdx.x, h = blockIdx.y, dim = s.head_dim, per_group = s.heads / s.kv_heads, g = h / per_group;
  const Sequence all = rows_of(s.q_offsets, sequence_of(s.q_offsets, s.sequences, row));
  const int64_t visible = s.visible(row - all.first, all.count, all.count), k_column = a.k.column(g, 0), v_column = a.v.column(g, 0);
  load(query, a.q.mat, row, a.q.column(g, h % per_group), dim);
  load(gradient, a.d_o, row, h * dim, dim);
  float part = 0;
  for (int64_t d = threadIdx.x; d < dim; d += blockDim.x) part += a.d_o.get(row, h * dim + d) * a.o.get(row, h * dim + d);
  const float delta = block_sum(part, parts), lse = a.lse[row * s.heads + h];
  if (threadIdx.x == 0) deltas[row * s.heads + h] = delta;
  float dq[kColumns] = {};
  for (int64_t begin = s.hidden(visible); begin < visible; begin += blockDim.x) {
    const int64_t j = begin + threadIdx.x, count = visible - begin < blockDim.x ? visible - begin : blockDim.x;
    float ds = 0;
    if (j < visible) {
      const Score score = score_of(s, dot(query, a.k.mat, all.first + j, k_column, dim), h, j);
      ds = expf(score.value - lse) * (mask_of(s, row, h, j) * dot(gradient, a.v.mat, all.first + j, v_column, dim) - delta) * score.slope;
    }
    weights[threadIdx.x] = ds;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kColumns; i++) {
      const int64_t d = i * blockDim.x + threadIdx.x;
      if (d >= dim) continue;
#pragma unroll 1
      for (int64_t k = 0; k < count; k++) dq[i] += weights[k] * a.k.mat.get(all.first + begin + k, k_column + d);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kColumns; i++) {
    const int64_t d = i * blockDim.x + threadIdx.x;
    if (d < dim) a.dq.mat.set(row, a.dq.column(g, h % per_group) + d, s.scale * dq[i]);
  }
}

// A block takes a key of a key/value head, and the queries of the group's heads one after the other: no sum is shared between blocks.
__global__ void __launch_bounds__(kThreads, 1) attention_dkdv_kernel(AttentionBwdArgs a, const float* deltas) {
  LOWRANK_SHARED(float, key, kMostHeadDim);
  LOWRANK_SHARED(float, value, kMostHeadDim);
  LOWRANK_SHARED(float, weights, kThreads);
  LOWRANK_SHARED(float, slopes, kThreads);
  const AttentionShape& s = a.shape;
  const int64_t row = blockIdx.x, g = blockIdx.y, dim = s.head_dim, per_group = s.heads / s.kv_heads;
  const Sequence all = rows_of(s.q_offsets, sequence_of(s.q_offsets, s.sequences, row));
  // The queries that see it.
  const int64_t j = row - all.first, start = s.causal ? j : 0, end = s.window > 0 && j + s.window < all.count ? j + s.window : all.count;
  load(key, a.k.mat, row, a.k.column(g, 0), dim);
  load(value, a.v.mat, row, a.v.column(g, 0), dim);
  __syncthreads();
  float dk[kColumns] = {}, dv[kColumns] = {};
  for (int64_t h = g * per_group; h < (g + 1) * per_group; h++) {
    const int64_t q_column = a.q.column(g, h % per_group);
    for (int64_t begin = start; begin < end; begin += blockDim.x) {
      const int64_t i = begin + threadIdx.x, count = end - begin < blockDim.x ? end - begin : blockDim.x, query = all.first + i;
      float p = 0, ds = 0;
      if (i < end) {
        const Score score = score_of(s, dot(key, a.q.mat, query, q_column, dim), h, j);
        const float weight = expf(score.value - a.lse[query * s.heads + h]), mask = mask_of(s, query, h, j);
        ds = weight * (mask * dot(value, a.d_o, query, h * dim, dim) - deltas[query * s.heads + h]) * score.slope;
        p = mask * weight;
      }
      weights[threadIdx.x] = p;
      slopes[threadIdx.x] = ds;
      __syncthreads();
#pragma unroll
      for (int c = 0; c < kColumns; c++) {
        const int64_t d = c * blockDim.x + threadIdx.x;
        if (d >= dim) continue;
#pragma unroll 1
        for (int64_t k = 0; k < count; k++) {
          dk[c] += slopes[k] * a.q.mat.get(all.first + begin + k, q_column + d);
          dv[c] += weights[k] * a.d_o.get(all.first + begin + k, h * dim + d);
        }
      }
      __syncthreads();
    }
  }
#pragma unroll
  for (int c = 0; c < kColumns; c++) {
    const int64_t d = c * blockDim.x + threadIdx.x;
    if (d >= dim) continue;
    a.dk.mat.set(row, a.dk.column(g, 0) + d, s.scale * dk[c]);
    a.dv.mat.set(row, a.dv.column(g, 0) + d, dv[c]);
  }
}

}  // namespace

void attention_fwd(const AttentionFwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(attention_fwd_kernel, (unsigned(a.o.rows), unsigned(a.shape.heads)), kThreads, stream, a);
}

void attention_bwd(const AttentionBwdArgs& a, float* delta, Stream stream) {
  LOWRANK_LAUNCH(attention_dq_kernel, (unsigned(a.o.rows), unsigned(a.shape.heads)), kThreads, stream, a, delta);
  LOWRANK_LAUNCH(attention_dkdv_kernel, (unsigned(a.k.mat.rows), unsigned(a.shape.kv_heads)), kThreads, stream, a, delta);
}

}  // namespace lowrank::cuda::kernels
