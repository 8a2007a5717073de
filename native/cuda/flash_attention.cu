// Attention's forward pass on tensor cores: a block takes 64 queries of a head.
#include "cuda/flash_tiles.h"

namespace lowrank::cuda::kernels {

namespace {

template <int kDim, int kKeys>
__global__ void __launch_bounds__(kThreads, 1) flash_fwd_kernel(AttentionFwdArgs a) {
  LOWRANK_DYNAMIC_SHARED(uint16_t, memory);
  uint16_t *const q = memory, *const k = q + kTileRows * kStride<kDim>, *const v = k + kKeys * kStride<kDim>;
  const AttentionShape& s = a.shape;
  const Lane lane;
  const int64_t h = blockIdx.y, dim = s.head_dim, per_group = s.heads / s.kv_heads, g = h / per_group;
  const TilePlace tile = tile_of(s.q_offsets, s.sequences, blockIdx.x);
  if (tile.sequence < 0) return;
  const int64_t q0 = s.q_offsets[tile.sequence], nq = s.q_offsets[tile.sequence + 1] - q0, k0 = s.kv_offsets[tile.sequence], nk = s.kv_offsets[tile.sequence + 1] - k0;
  const int64_t last = tile.first + kTileRows < nq ? tile.first + kTileRows : nq;  // behind the last query
  const int64_t begin = s.hidden(s.visible(tile.first, nq, nk)) / kKeys * kKeys, end = s.visible(last - 1, nq, nk);
  const int64_t k_column = a.k.column(g, 0), v_column = a.v.column(g, 0);

  load_rows<kDim, kTileRows>(q, a.q.mat, q0 + tile.first, last - tile.first, a.q.column(g, h % per_group), dim);
  load_rows<kDim, kKeys>(k, a.k.mat, k0 + begin, end - begin, k_column, dim);
  float o[kDim / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {};
  int64_t visible[2], hidden[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int64_t query = tile.first + lane.row + i * 8;
    visible[i] = query < nq ? s.visible(query, nq, nk) : 0;
    hidden[i] = s.hidden(visible[i]);
  }

  for (int64_t j = begin; j < end; j += kKeys) {
    load_rows<kDim, kKeys>(v, a.v.mat, k0 + j, end - j, v_column, dim);
    wait_for_copies<1>();
    __syncthreads();
    float scores[kKeys / 8][4] = {};
    add_products<kDim, kKeys>(scores, q + lane.warp_row * kStride<kDim>, k, lane.index);
    __syncthreads();
    const bool goes_on = j + kKeys < end;
    if (goes_on) load_rows<kDim, kKeys>(k, a.k.mat, k0 + j + kKeys, end - j - kKeys, k_column, dim);

    float higher[2] = {top[0], top[1]}, fade[2], base[2];
#pragma unroll
    for (int n = 0; n < kKeys / 8; n++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int64_t key = j + n * 8 + lane.column + e % 2;
        const bool is_seen = key >= hidden[e / 2] && key < visible[e / 2];
        scores[n][e] = is_seen ? score_of(s, scores[n][e], h, key).value : -INFINITY;
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
    if (s.dropout.active()) {
      const TileMask mask = mask_of_queries<kKeys>(s, lane, h, q0 + tile.first, j);
#pragma unroll
      for (int n = 0; n < kKeys / 8; n++) {
#pragma unroll
        for (int e = 0; e < 4; e++) scores[n][e] *= mask.of(n, e);
      }
    }
    if (goes_on) wait_for_copies<1>();
    else wait_for_copies<0>();
    __syncthreads();
    add_weighted<kDim, kDim, kKeys>(o, scores, v, lane.index);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    for (unsigned other = 1; other < 4; other *= 2) sum[i] += __shfl_xor_sync(kWholeWarp, sum[i], other);
    const int64_t query = tile.first + lane.row + i * 8;
    if (query >= nq) continue;
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int64_t column = d * 8 + lane.column + e;
        if (column < dim) a.o.set(q0 + query, h * dim + column, o[d][i * 2 + e] / sum[i]);
      }
    }
    if (a.lse && lane.index % 4 == 0) a.lse[(q0 + query) * s.heads + h] = top[i] + logf(sum[i]);
  }
}

template <int kDim, int kKeys>
void launch(const AttentionFwdArgs& a, Stream stream) {
  constexpr int kBytes = (kTileRows + 2 * kKeys) * kStride<kDim> * 2;
  LOWRANK_LAUNCH_DYNAMIC((flash_fwd_kernel<kDim, kKeys>), (most_tiles(a.o.rows, a.shape.sequences), unsigned(a.shape.heads)), kThreads, kBytes, stream, a);
}

}  // namespace

bool takes_flash_attention(const AttentionFwdArgs& a) { return takes_tiles(a.q, a.k, a.v, a.shape.head_dim); }

void flash_attention_fwd(const AttentionFwdArgs& a, Stream stream) {
  const int64_t dim = a.shape.head_dim;
  if (dim <= 64) launch<64, 64>(a, stream);
  else if (dim <= 96) launch<96, 64>(a, stream);
  else if (dim <= 128) launch<128, 64>(a, stream);
  else launch<256, 32>(a, stream);
}

}  // namespace lowrank::cuda::kernels
