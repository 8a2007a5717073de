// Attention's forward pass on tensor cores (Dao, 2023, "FlashAttention-2"): bf16, a block takes 64 queries of a head, a warp 16 of them. Scores and
// sums are f32 in registers; weights are rounded to bf16 for the second product.
#include "cuda/block.h"
#include "cuda/kernels.h"
#include "cuda/tensor_core.h"

namespace lowrank::cuda::kernels {

namespace {

constexpr int kQueries = 64, kTile = 16;

// Where a block's queries are.
struct QueryTile {
  int64_t sequence, first;  // the first query's number in its sequence; sequence -1: there is no such tile
};
__device__ QueryTile tile_of(const AttentionShape& s, int64_t tile) {
  for (int64_t i = 0; i < s.sequences; i++) {
    const int64_t tiles = (s.q_offsets[i + 1] - s.q_offsets[i] + kQueries - 1) / kQueries;
    if (tile < tiles) return {i, tile * kQueries};
    tile -= tiles;
  }
  return {-1, 0};
}

// Rows of heads into shared memory, kDim columns wide; zeros beyond `dim` and beyond the last row.
template <int kDim, int kRows>
__device__ __forceinline__ void load_rows(uint16_t* to, const Mat& from, int64_t row, int64_t rows, int64_t column, int64_t dim) {
  constexpr int kChunks = kDim / 8;
  for (int i = int(threadIdx.x); i < kRows * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks * 8;
    const bool there = r < rows && c < dim;
    const int64_t at = there ? (row + r) * from.ld + column + c : 0;
    copy_async(to + r * (kDim + 8) + c, static_cast<const uint16_t*>(from.data) + at, there);
  }
  copies_committed();
}

template <int kDim, int kKeys>
__global__ void __launch_bounds__(kThreads, 1) flash_fwd_kernel(AttentionFwdArgs a) {
  constexpr int kStride = kDim + 8;  // rows begin in other banks
  LOWRANK_DYNAMIC_SHARED(uint16_t, memory);
  uint16_t *const q = memory, *const k = q + kQueries * kStride, *const v = k + kKeys * kStride;
  const AttentionShape& s = a.shape;
  const int lane = int(threadIdx.x % kWarp), warp = int(threadIdx.x / kWarp), row_of_lane = lane / 4, column_of_lane = lane % 4 * 2;
  const int64_t h = blockIdx.y, dim = s.head_dim, per_group = s.heads / s.kv_heads, g = h / per_group;
  const QueryTile tile = tile_of(s, blockIdx.x);
  if (tile.sequence < 0) return;
  const int64_t q0 = s.q_offsets[tile.sequence], nq = s.q_offsets[tile.sequence + 1] - q0, k0 = s.kv_offsets[tile.sequence], nk = s.kv_offsets[tile.sequence + 1] - k0;
  const int64_t last = tile.first + kQueries < nq ? tile.first + kQueries : nq;  // behind the last query
  const int64_t begin = s.hidden(s.visible(tile.first, nq, nk)) / kKeys * kKeys, end = s.visible(last - 1, nq, nk);
  const int64_t k_column = a.k.column(g, 0), v_column = a.v.column(g, 0);

  load_rows<kDim, kQueries>(q, a.q.mat, q0 + tile.first, last - tile.first, a.q.column(g, h % per_group), dim);
  load_rows<kDim, kKeys>(k, a.k.mat, k0 + begin, end - begin, k_column, dim);
  float o[kDim / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  // A lane has two rows of its warp's sixteen.
  int64_t visible[2], hidden[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int64_t query = tile.first + warp * kTile + row_of_lane + i * 8;
    visible[i] = query < nq ? s.visible(query, nq, nk) : 0;
    hidden[i] = s.hidden(visible[i]);
  }

  for (int64_t j = begin; j < end; j += kKeys) {
    load_rows<kDim, kKeys>(v, a.v.mat, k0 + j, end - j, v_column, dim);
    wait_for_copies<1>();
    __syncthreads();
    float scores[kKeys / 8][4] = {};
#pragma unroll
    for (int d = 0; d < kDim; d += kTile) {
      uint32_t queries[4];
      load_matrices(queries, q + (warp * kTile + lane % 16) * kStride + d + lane / 16 * 8);
#pragma unroll
      for (int n = 0; n < kKeys; n += kTile) {
        uint32_t keys[4];
        load_matrices(keys, k + (n + lane % 8 + lane / 16 * 8) * kStride + d + lane / 8 % 2 * 8);
        multiply_add(scores[n / 8], queries, keys[0], keys[1]);
        multiply_add(scores[n / 8 + 1], queries, keys[2], keys[3]);
      }
    }
    __syncthreads();
    const bool goes_on = j + kKeys < end;
    if (goes_on) load_rows<kDim, kKeys>(k, a.k.mat, k0 + j + kKeys, end - j - kKeys, k_column, dim);

    float higher[2] = {top[0], top[1]}, fade[2], base[2];
#pragma unroll
    for (int n = 0; n < kKeys / 8; n++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int64_t key = j + n * 8 + column_of_lane + e % 2;
        float score = s.scale * scores[n][e];
        const bool is_seen = key >= hidden[e / 2] && key < visible[e / 2];
        if (s.bias && is_seen) score += s.bias[h * s.bias_ld + key];
        if (s.soft_cap > 0) score = s.soft_cap * tanhf(score / s.soft_cap);
        scores[n][e] = is_seen ? score : -INFINITY;
        higher[e / 2] = larger(higher[e / 2], scores[n][e]);
      }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
      for (unsigned other = 1; other < 4; other *= 2) higher[i] = larger(higher[i], __shfl_xor_sync(kWholeWarp, higher[i], other));
      base[i] = higher[i] == -INFINITY ? 0 : higher[i];  // nothing is seen yet
      fade[i] = expf(top[i] - base[i]);
      top[i] = higher[i];
      sum[i] *= fade[i];
    }
#pragma unroll
    for (int n = 0; n < kKeys / 8; n++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        scores[n][e] = expf(scores[n][e] - base[e / 2]);
        sum[e / 2] += scores[n][e];
      }
    }
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
#pragma unroll
      for (int e = 0; e < 4; e++) o[d][e] *= fade[e / 2];
    }
    if (goes_on) wait_for_copies<1>();
    else wait_for_copies<0>();
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kKeys; n += kTile) {
      const float(&low)[4] = scores[n / 8], (&high)[4] = scores[n / 8 + 1];
      const Bf16Pair weights[4] = {pair_of(low[0], low[1]), pair_of(low[2], low[3]), pair_of(high[0], high[1]), pair_of(high[2], high[3])};
#pragma unroll
      for (int d = 0; d < kDim; d += kTile) {
        uint32_t values[4];
        load_matrices_transposed(values, v + (n + lane % 16) * kStride + d + lane / 16 * 8);
        multiply_add(o[d / 8], weights, values[0], values[1]);
        multiply_add(o[d / 8 + 1], weights, values[2], values[3]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    for (unsigned other = 1; other < 4; other *= 2) sum[i] += __shfl_xor_sync(kWholeWarp, sum[i], other);
    const int64_t query = tile.first + warp * kTile + row_of_lane + i * 8;
    if (query >= nq) continue;
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int64_t column = d * 8 + column_of_lane + e;
        if (column < dim) a.o.set(q0 + query, h * dim + column, o[d][i * 2 + e] / sum[i]);
      }
    }
    if (a.lse && lane % 4 == 0) a.lse[(q0 + query) * s.heads + h] = top[i] + logf(sum[i]);
  }
}

template <int kDim, int kKeys>
void launch(const AttentionFwdArgs& a, Stream stream) {
  // At most one tile of a sequence is not full.
  const int64_t tiles = a.o.rows / kQueries + a.shape.sequences;
  constexpr int kBytes = (kQueries + 2 * kKeys) * (kDim + 8) * 2;
  LOWRANK_LAUNCH_DYNAMIC((flash_fwd_kernel<kDim, kKeys>), (unsigned(tiles), unsigned(a.shape.heads)), kThreads, kBytes, stream, a);
}

// Rows of 16-byte pieces.
bool in_pieces(const Heads& x) {
  const int64_t all = x.offset | x.group_stride | x.head_stride | x.mat.ld;
  return all % 8 == 0 && reinterpret_cast<uintptr_t>(x.mat.data) % 16 == 0;
}

}  // namespace

bool takes_flash_attention(const AttentionFwdArgs& a) {
  const int64_t dim = a.shape.head_dim;
  return a.q.mat.dtype == DType::bf16 && dim % 8 == 0 && dim <= 256 && in_pieces(a.q) && in_pieces(a.k) && in_pieces(a.v);
}

void flash_attention_fwd(const AttentionFwdArgs& a, Stream stream) {
  const int64_t dim = a.shape.head_dim;
  if (dim <= 64) launch<64, 64>(a, stream);
  else if (dim <= 96) launch<96, 64>(a, stream);
  else if (dim <= 128) launch<128, 64>(a, stream);
  else launch<256, 32>(a, stream);
}

}  // namespace lowrank::cuda::kernels
