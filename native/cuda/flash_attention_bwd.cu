// Attention's backward pass on tensor cores, in two kernels that share no sum, so that there are no atomic additions: one collects the gradients
// of 64 queries, and the other one the gradients of 64 keys. Both compute the weights anew from the log-sum-exp. The tiles of the other side pass
// by in two stages: one is loaded while the other one is used.
#include "cuda/flash_tiles.h"

namespace lowrank::cuda::kernels {

namespace {

// Two stages of two tiles each.
template <int kDim, int kRows>
__device__ __forceinline__ uint16_t* stage_of(uint16_t* stages, int64_t number) {
  return stages + number % 2 * 2 * kRows * kStride<kDim>;
}

__device__ __forceinline__ int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// deltas = rowsum(do * o), and dq
template <int kDim, int kKeys>
__global__ void __launch_bounds__(kThreads, 1) flash_dq_kernel(AttentionBwdArgs a, float* deltas) {
  LOWRANK_DYNAMIC_SHARED(uint16_t, memory);
  uint16_t *const q = memory, *const d_o = q + kTileRows * kStride<kDim>, *const stages = d_o + kTileRows * kStride<kDim>;
  const AttentionShape& s = a.shape;
  const Lane lane;
  const int64_t h = blockIdx.y, dim = s.head_dim, per_group = s.heads / s.kv_heads, g = h / per_group;
  const TilePlace tile = tile_of(s.q_offsets, s.sequences, blockIdx.x);
  if (tile.sequence < 0) return;
  const int64_t row0 = s.q_offsets[tile.sequence], n = s.q_offsets[tile.sequence + 1] - row0, last = smaller(tile.first + kTileRows, n);
  const int64_t begin = s.hidden(s.visible(tile.first, n, n)) / 4 * 4, end = s.visible(last - 1, n, n);
  const int64_t k_column = a.k.column(g, 0), v_column = a.v.column(g, 0);
  const auto load = [&](int64_t number) {
    const int64_t j = begin + number * kKeys;
    uint16_t* const to = stage_of<kDim, kKeys>(stages, number);
    load_rows<kDim, kKeys>(to, a.k.mat, row0 + j, end - j, k_column, dim);
    load_rows<kDim, kKeys>(to + kKeys * kStride<kDim>, a.v.mat, row0 + j, end - j, v_column, dim);
  };
  load_rows<kDim, kTileRows>(q, a.q.mat, row0 + tile.first, last - tile.first, a.q.column(g, h % per_group), dim);
  load_rows<kDim, kTileRows>(d_o, a.d_o, row0 + tile.first, last - tile.first, h * dim, dim);
  load(0);

  int64_t from[2], to[2];  // the keys that a query sees
  float lse[2], delta[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int64_t query = tile.first + lane.row + i * 8, row = row0 + query;
    const bool there = query < n;
    to[i] = there ? s.visible(query, n, n) : 0;
    from[i] = s.hidden(to[i]);
    lse[i] = there ? a.lse[row * s.heads + h] : 0;
    delta[i] = 0;
#pragma unroll 1
    for (int64_t d = lane.index % 4; there && d < dim; d += 4) delta[i] += a.d_o.get(row, h * dim + d) * a.o.get(row, h * dim + d);
    for (unsigned other = 1; other < 4; other *= 2) delta[i] += __shfl_xor_sync(kWholeWarp, delta[i], other);
    if (there && lane.index % 4 == 0) deltas[row * s.heads + h] = delta[i];
  }

  float dq[kDim / 8][4] = {};
  const int64_t tiles = (end - begin + kKeys - 1) / kKeys;
  for (int64_t t = 0; t < tiles; t++) {
    if (t + 1 < tiles) {
      load(t + 1);
      wait_for_copies<2>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();
    const uint16_t *const k = stage_of<kDim, kKeys>(stages, t), *const v = k + kKeys * kStride<kDim>;
    float scores[kKeys / 8][4] = {}, ds[kKeys / 8][4] = {};
    add_products<kDim, kKeys>(scores, q + lane.warp_row * kStride<kDim>, k, lane.index);
    add_products<kDim, kKeys>(ds, d_o + lane.warp_row * kStride<kDim>, v, lane.index);
    const TileMask mask = mask_of_queries<kKeys>(s, lane, h, row0 + tile.first, begin + t * kKeys);
#pragma unroll
    for (int c = 0; c < kKeys / 8; c++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int i = e / 2;
        const int64_t key = begin + t * kKeys + c * 8 + lane.column + e % 2;
        const bool is_seen = key >= from[i] && key < to[i];
        const Score score = is_seen ? score_of(s, scores[c][e], h, key) : Score{-INFINITY, 0};
        ds[c][e] = expf(score.value - lse[i]) * (mask.of(c, e) * ds[c][e] - delta[i]) * score.slope;
      }
    }
    add_weighted<kDim, kDim, kKeys>(dq, ds, k, lane.index);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int64_t query = tile.first + lane.row + i * 8;
    if (query >= n) continue;
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int64_t column = d * 8 + lane.column + e;
        if (column < dim) a.dq.mat.set(row0 + query, a.dq.column(g, h % per_group) + column, s.scale * dq[d][i * 2 + e]);
      }
    }
  }
}

// The queries of the group's heads pass by one head after the other. A block has kOut columns of dk and dv: registers hold no more.
template <int kDim, int kOut, int kQueries>
__global__ void __launch_bounds__(kThreads, 1) flash_dkdv_kernel(AttentionBwdArgs a, const float* deltas) {
  constexpr int kParts = kDim / kOut;
  LOWRANK_DYNAMIC_SHARED(uint16_t, memory);
  uint16_t *const k = memory, *const v = k + kTileRows * kStride<kDim>, *const stages = v + kTileRows * kStride<kDim>;
  const AttentionShape& s = a.shape;
  const Lane lane;
  const int first_column = int(blockIdx.y % kParts) * kOut;
  const int64_t g = blockIdx.y / kParts, dim = s.head_dim, per_group = s.heads / s.kv_heads;
  const TilePlace tile = tile_of(s.kv_offsets, s.sequences, blockIdx.x);
  if (tile.sequence < 0) return;
  const int64_t row0 = s.kv_offsets[tile.sequence], n = s.kv_offsets[tile.sequence + 1] - row0, last = smaller(tile.first + kTileRows, n);
  // The queries that see a key.
  const auto first_query = [&](int64_t key) { return s.causal ? key : 0; };
  const auto end_query = [&](int64_t key) { return s.window > 0 ? smaller(key + s.window, n) : n; };
  const int64_t begin = first_query(tile.first), end = end_query(last - 1), tiles_of_head = (end - begin + kQueries - 1) / kQueries;
  const auto load = [&](int64_t number) {
    const int64_t h = number / tiles_of_head, i = begin + number % tiles_of_head * kQueries;
    uint16_t* const to = stage_of<kDim, kQueries>(stages, number);
    load_rows<kDim, kQueries>(to, a.q.mat, row0 + i, end - i, a.q.column(g, h), dim);
    load_rows<kDim, kQueries>(to + kQueries * kStride<kDim>, a.d_o, row0 + i, end - i, (g * per_group + h) * dim, dim);
  };
  load_rows<kDim, kTileRows>(k, a.k.mat, row0 + tile.first, last - tile.first, a.k.column(g, 0), dim);
  load_rows<kDim, kTileRows>(v, a.v.mat, row0 + tile.first, last - tile.first, a.v.column(g, 0), dim);
  load(0);

  int64_t key[2], from[2], to[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    key[i] = tile.first + lane.row + i * 8;
    from[i] = first_query(key[i]);
    to[i] = key[i] < n ? end_query(key[i]) : 0;
  }

  float dk[kOut / 8][4] = {}, dv[kOut / 8][4] = {};
  const int64_t tiles = per_group * tiles_of_head;
  for (int64_t t = 0; t < tiles; t++) {
    if (t + 1 < tiles) {
      load(t + 1);
      wait_for_copies<2>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();
    const uint16_t *const q = stage_of<kDim, kQueries>(stages, t), *const d_o = q + kQueries * kStride<kDim>;
    float weights[kQueries / 8][4] = {}, ds[kQueries / 8][4] = {};
    add_products<kDim, kQueries>(weights, k + lane.warp_row * kStride<kDim>, q, lane.index);
    add_products<kDim, kQueries>(ds, v + lane.warp_row * kStride<kDim>, d_o, lane.index);
    const int64_t h = g * per_group + t / tiles_of_head, first = begin + t % tiles_of_head * kQueries;
    const TileMask mask = mask_of_keys<kQueries>(s, lane, h, row0 + first, tile.first);
#pragma unroll
    for (int c = 0; c < kQueries / 8; c++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int i = e / 2;
        const int64_t query = first + c * 8 + lane.column + e % 2, at = (row0 + query) * s.heads + h;
        const bool is_seen = query >= from[i] && query < to[i];
        const Score score = is_seen ? score_of(s, weights[c][e], h, key[i]) : Score{-INFINITY, 0};
        const float weight = expf(score.value - (is_seen ? a.lse[at] : 0)), factor = mask.of(c, e);
        ds[c][e] = weight * (factor * ds[c][e] - (is_seen ? deltas[at] : 0)) * score.slope;
        weights[c][e] = factor * weight;
      }
    }
    add_weighted<kDim, kOut, kQueries>(dv, weights, d_o + first_column, lane.index);
    add_weighted<kDim, kOut, kQueries>(dk, ds, q + first_column, lane.index);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (key[i] >= n) continue;
#pragma unroll
    for (int d = 0; d < kOut / 8; d++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int64_t column = first_column + d * 8 + lane.column + e;
        if (column >= dim) continue;
        a.dk.mat.set(row0 + key[i], a.dk.column(g, 0) + column, s.scale * dk[d][i * 2 + e]);
        a.dv.mat.set(row0 + key[i], a.dv.column(g, 0) + column, dv[d][i * 2 + e]);
      }
    }
  }
}

template <int kDim, int kRows>
void launch(const AttentionBwdArgs& a, float* deltas, Stream stream) {
  constexpr int kOut = kDim <= 128 ? kDim : 128, kBytes = (2 * kTileRows + 4 * kRows) * kStride<kDim> * 2;
  static_assert(kBytes <= 99 * 1024);  // of compute capabilities 8.6, 8.9 and 12.0
  const unsigned tiles = most_tiles(a.q.mat.rows, a.shape.sequences);
  LOWRANK_LAUNCH_DYNAMIC((flash_dq_kernel<kDim, kRows>), (tiles, unsigned(a.shape.heads)), kThreads, kBytes, stream, a, deltas);
  LOWRANK_LAUNCH_DYNAMIC((flash_dkdv_kernel<kDim, kOut, kRows>), (tiles, unsigned(a.shape.kv_heads) * (kDim / kOut)), kThreads, kBytes, stream, a, deltas);
}

}  // namespace

bool takes_flash_attention(const AttentionBwdArgs& a) { return takes_tiles(a.q, a.k, a.v, a.shape.head_dim) && in_pieces({a.d_o}); }

void flash_attention_bwd(const AttentionBwdArgs& a, float* deltas, Stream stream) {
  const int64_t dim = a.shape.head_dim;
  if (dim <= 64) launch<64, 64>(a, deltas, stream);
  else if (dim <= 96) launch<96, 32>(a, deltas, stream);
  else if (dim <= 128) launch<128, 32>(a, deltas, stream);
  else launch<256, 16>(a, deltas, stream);
}

}  // namespace lowrank::cuda::kernels
