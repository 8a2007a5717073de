// Attention of few queries, of any head size: a block takes one of them. No scores are stored.
#include "cuda/attention_score.h"
#include "cuda/block.h"
#include "cuda/kernels.h"

namespace lowrank::cuda::kernels {

namespace {

constexpr int64_t kMostQueries = 16;
constexpr int kColumns = int(kMostHeadDim) / kThreads;  // of a head, a thread

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

__global__ void __launch_bounds__(kThreads, 1) few_queries_kernel(AttentionFwdArgs a) {
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
    weights[threadIdx.x] = weight;
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
}

}  // namespace

bool takes_few_queries(const AttentionFwdArgs& a) { return a.o.rows <= kMostQueries && !a.lse && !a.shape.dropout.active(); }

void few_queries(const AttentionFwdArgs& a, Stream stream) {
  LOWRANK_LAUNCH(few_queries_kernel, (unsigned(a.o.rows), unsigned(a.shape.heads)), kThreads, stream, a);
}

}  // namespace lowrank::cuda::kernels
