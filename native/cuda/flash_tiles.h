// What attention's kernels on tensor cores share (Dao, 2023, "FlashAttention-2"). A block has a tile of 64 rows of a sequence, a warp 16 of them.
// Tiles lie in shared memory in bf16; products and sums are f32 in registers.
#pragma once
#include "cuda/attention_score.h"
#include "cuda/block.h"
#include "cuda/kernels.h"
#include "cuda/tensor_core.h"

namespace lowrank::cuda {

constexpr int kTileRows = 64, kTile = 16;
static_assert(kTileRows == kThreads / int(kWarp) * kTile);
template <int kDim>
constexpr int kStride = kDim + 8;  // rows begin in other banks

// A lane has rows `row` and `row + 8` of a tile, and columns `column` and `column + 1` of every eight: of a warp's product (float[columns / 8][4])
// elements 0 and 1 are of the first row.
struct Lane {
  int index = int(threadIdx.x % kWarp), warp_row = int(threadIdx.x / kWarp) * kTile, row = warp_row + index / 4, column = index % 4 * 2;
};

// Where a block's rows are.
struct TilePlace {
  int64_t sequence, first;  // the first row's number in its sequence; sequence -1: there is no such tile
};
__device__ __forceinline__ TilePlace tile_of(const int32_t* offsets, int64_t sequences, int64_t tile) {
  for (int64_t i = 0; i < sequences; i++) {
    const int64_t tiles = (offsets[i + 1] - offsets[i] + kTileRows - 1) / kTileRows;
    if (tile < tiles) return {i, tile * kTileRows};
    tile -= tiles;
  }
  return {-1, 0};
}
// At most one tile of a sequence is not full.
inline unsigned most_tiles(int64_t rows, int64_t sequences) { return unsigned(rows / kTileRows + sequences); }

// Rows of a head into shared memory, kDim columns wide; zeros beyond `dim` and beyond the last row. One group of copies.
template <int kDim, int kRows>
__device__ __forceinline__ void load_rows(uint16_t* to, const Mat& from, int64_t row, int64_t rows, int64_t column, int64_t dim) {
  constexpr int kChunks = kDim / 8;
  for (int i = int(threadIdx.x); i < kRows * kChunks; i += kThreads) {
    const int r = i / kChunks, c = i % kChunks * 8;
    const bool there = r < rows && c < dim;
    const int64_t at = there ? (row + r) * from.ld + column + c : 0;
    copy_async(to + r * kStride<kDim> + c, static_cast<const uint16_t*>(from.data) + at, there);
  }
  copies_committed();
}

// out += a b^T: 16 rows of a, kRows of b, both in shared memory.
template <int kDim, int kRows>
__device__ __forceinline__ void add_products(float (&out)[kRows / 8][4], const uint16_t* a, const uint16_t* b, int lane) {
#pragma unroll
  for (int d = 0; d < kDim; d += kTile) {
    uint32_t left[4];
    load_matrices(left, a + lane % 16 * kStride<kDim> + d + lane / 16 * 8);
#pragma unroll
    for (int n = 0; n < kRows; n += kTile) {
      uint32_t right[4];
      load_matrices(right, b + (n + lane % 8 + lane / 16 * 8) * kStride<kDim> + d + lane / 8 % 2 * 8);
      multiply_add(out[n / 8], left, right[0], right[1]);
      multiply_add(out[n / 8 + 1], left, right[2], right[3]);
    }
  }
}

// out += weights b: (16, kRows) weights as products leave them, rounded to bf16, and kOut columns of b's rows.
template <int kDim, int kOut, int kRows>
__device__ __forceinline__ void add_weighted(float (&out)[kOut / 8][4], const float (&weights)[kRows / 8][4], const uint16_t* b, int lane) {
#pragma unroll
  for (int n = 0; n < kRows; n += kTile) {
    const float(&low)[4] = weights[n / 8], (&high)[4] = weights[n / 8 + 1];
    const Bf16Pair left[4] = {pair_of(low[0], low[1]), pair_of(low[2], low[3]), pair_of(high[0], high[1]), pair_of(high[2], high[3])};
#pragma unroll
    for (int d = 0; d < kOut; d += kTile) {
      uint32_t right[4];
      load_matrices_transposed(right, b + (n + lane % 16) * kStride<kDim> + d + lane / 16 * 8);
      multiply_add(out[d / 8], left, right[0], right[1]);
      multiply_add(out[d / 8 + 1], left, right[2], right[3]);
    }
  }
}

// What dropout makes of a lane's weights of a tile: it multiplies those that it keeps. A block of random numbers is of four keys, so a lane draws one
// of them for every eight columns, and has the bits of its other weights from the lanes beside it.
struct TileMask {
  uint32_t kept[4] = {~0u, ~0u, ~0u, ~0u};  // of each element, bit 4 n for the eight columns n
  float factor = 1;
  __device__ __forceinline__ float of(int n, int element) const { return kept[element] >> (4 * n) & 1 ? factor : 0; }
};
// Bits 4 n to 4 n + 3: which of the four weights from index at(n) on are kept.
template <int kCount, class F>
__device__ __forceinline__ uint32_t kept_fours(const Dropout& d, F&& at) {
  static_assert(kCount <= 8);
  uint32_t bits = 0;
#pragma unroll 1
  for (int n = 0; n < kCount; n++) {
    const std::array<uint32_t, 4> words = philox(d.seed, d.stream, (d.offset + at(n)) / 4);
    for (int k = 0; k < 4; k++) bits |= uint32_t(uniform01(words[k]) >= d.p) << (4 * n + k);
  }
  return bits;
}
// Of a tile whose rows are queries. row: the first one's row; key: the first column's place in the sequence, a multiple of 4
template <int kKeys>
__device__ __forceinline__ TileMask mask_of_queries(const AttentionShape& s, const Lane& lane, int64_t head, int64_t row, int64_t key) {
  if (!s.dropout.active()) return {};
  const Dropout d = s.dropout.now();
  const int half = lane.index % 2;  // of two lanes with four keys, this one draws for its first row, or for its second one
  const uint32_t own = kept_fours<kKeys / 8>(d, [&](int n) { return s.dropout_index(row + lane.row + half * 8, s.heads, head, key + n * 8 + lane.column / 4 * 4); });
  const uint32_t others = __shfl_xor_sync(kWholeWarp, own, 1u), first = (half ? others : own) >> (half * 2), second = (half ? own : others) >> (half * 2);
  return {{first, first >> 1, second, second >> 1}, 1.f / (1.f - d.p)};
}
// Of a tile whose rows are keys. row: the first column's; key: the first row's place in the sequence, a multiple of 4
template <int kQueries>
__device__ __forceinline__ TileMask mask_of_keys(const AttentionShape& s, const Lane& lane, int64_t head, int64_t row, int64_t key) {
  if (!s.dropout.active()) return {};
  const Dropout d = s.dropout.now();
  const int own = lane.index / 4 % 4;  // of four lanes with four keys, each one draws for one element
  const int64_t first_key = key + (lane.row - own) + own / 2 * 8;
  const uint32_t bits = kept_fours<kQueries / 8>(d, [&](int n) { return s.dropout_index(row + n * 8 + lane.column + own % 2, s.heads, head, first_key); });
  TileMask mask;
#pragma unroll
  for (int e = 0; e < 4; e++) mask.kept[e] = __shfl_xor_sync(kWholeWarp, bits, unsigned(4 * (own ^ e))) >> own;
  mask.factor = 1.f / (1.f - d.p);
  return mask;
}

// Rows of 16-byte pieces.
inline bool in_pieces(const Heads& x) {
  const int64_t all = x.offset | x.group_stride | x.head_stride | x.mat.ld;
  return all % 8 == 0 && reinterpret_cast<uintptr_t>(x.mat.data) % 16 == 0;
}
inline bool takes_tiles(const Heads& q, const Heads& k, const Heads& v, int64_t dim) {
  return q.mat.dtype == DType::bf16 && dim % 8 == 0 && dim <= 256 && in_pieces(q) && in_pieces(k) && in_pieces(v);
}

}  // namespace lowrank::cuda
