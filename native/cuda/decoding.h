// Elements of frozen weights in any format, in accesses that are as wide as the format allows. Compiled without fused multiply-adds
// (quant/element.h).
#pragma once
#include "cuda/kernels.h"
#include "cuda/wide.h"
#include "quant/element.h"

namespace lowrank::cuda {

struct Stored {
  Weight w;
  const float* values;
  int64_t row_bytes;
};
inline Stored stored(const Weight& w, const kernels::Tables& tables) { return {w, tables.of(w.format), format_bytes(w.format, w.stored().cols + w.spare)}; }

__device__ __forceinline__ float element_of(const Stored& s, int64_t row, int64_t c) {
  return s.w.transposed ? stored_element(s.w, s.values, s.row_bytes, c, row) : stored_element(s.w, s.values, s.row_bytes, s.w.source_row(row), c);
}

// Whether the functions below read kWide elements at a time.
inline bool reads_wide(const Weight& w) {
  return !w.transposed && w.cols % kWide == 0 && is_wide(w.data) && (!is_four_bit(w.format) || w.block_size % kWide == 0);
}

// Elements [c, c + N) of a row of blocks, c a multiple of N.
template <class Block, int64_t kElements, int N>
__device__ __forceinline__ void block_elements(const char* row, int64_t c, float (&v)[N]) {
  const Block& block = *reinterpret_cast<const Block*>(row + c / kElements * int64_t(sizeof(Block)));
  const int64_t first = c % kElements / N * N;
#pragma unroll
  for (int k = 0; k < N; k++) v[k] = element(block, first + k);
}

// v = elements [c, c + kWide) of a row as it is stored in the format, c being a multiple of kWide
template <Format kFormat>
__device__ __forceinline__ void elements_as(const Stored& s, int64_t source, int64_t c, float (&v)[kWide]) {
  const Weight& w = s.w;
  const char* const row = static_cast<const char*>(w.data) + source * s.row_bytes;
  if constexpr (is_plain(kFormat)) {
    read(Mat(const_cast<void*>(w.data), dtype_of(kFormat), w.rows, w.cols, w.cols + w.spare), source, c, v);
  } else if constexpr (is_four_bit(kFormat)) {
    const int64_t i = source * w.cols + c;
    const float maximum = block_maximum(w, i / w.block_size);
    const uint32_t codes = static_cast<const uint32_t*>(w.data)[i / kWide];
    // The first element of a pair is a byte's high half.
    for (int k = 0; k < kWide; k++) v[k] = s.values[codes >> (k / 2 * 8 + (k % 2 ? 0 : 4)) & 15] * maximum;
  } else if constexpr (kFormat == Format::i8) {
    const uint32_t* const codes = reinterpret_cast<const uint32_t*>(row + c);
    const float maximum = w.absmax ? f32_at(w.absmax, source) : 0;
    for (int k = 0; k < kWide; k++) {
      const float code = int8_t(codes[k / 4] >> (k % 4 * 8));
      v[k] = w.absmax ? code * maximum * kInt8Step : code;
    }
  } else if constexpr (kFormat == Format::q4_0) {
    block_elements<Q4_0, 32>(row, c, v);
  } else if constexpr (kFormat == Format::q4_1) {
    block_elements<Q4_1, 32>(row, c, v);
  } else if constexpr (kFormat == Format::q5_0) {
    block_elements<Q5_0, 32>(row, c, v);
  } else if constexpr (kFormat == Format::q8_0) {
    block_elements<Q8_0, 32>(row, c, v);
  } else if constexpr (kFormat == Format::q4_k) {
    block_elements<Q4_K, 256>(row, c, v);
  } else if constexpr (kFormat == Format::q5_k) {
    block_elements<Q5_K, 256>(row, c, v);
  } else {
    static_assert(kFormat == Format::q6_k);
    block_elements<Q6_K, 256>(row, c, v);
  }
}

// f(std::integral_constant<Format, format>()): a kernel's instance for a format.
template <class F>
__host__ __device__ __forceinline__ void with_format(Format format, F&& f) {
  switch (format) {
    case Format::f32: return f(std::integral_constant<Format, Format::f32>());
    case Format::bf16: return f(std::integral_constant<Format, Format::bf16>());
    case Format::f16: return f(std::integral_constant<Format, Format::f16>());
    case Format::nf4: return f(std::integral_constant<Format, Format::nf4>());
    case Format::fp4: return f(std::integral_constant<Format, Format::fp4>());
    case Format::i8: return f(std::integral_constant<Format, Format::i8>());
    case Format::q4_0: return f(std::integral_constant<Format, Format::q4_0>());
    case Format::q4_1: return f(std::integral_constant<Format, Format::q4_1>());
    case Format::q5_0: return f(std::integral_constant<Format, Format::q5_0>());
    case Format::q8_0: return f(std::integral_constant<Format, Format::q8_0>());
    case Format::q4_k: return f(std::integral_constant<Format, Format::q4_k>());
    case Format::q5_k: return f(std::integral_constant<Format, Format::q5_k>());
    case Format::q6_k: return f(std::integral_constant<Format, Format::q6_k>());
  }
}

// v = elements [c, c + N) of a row; N > 1 where reads_wide(), c being a multiple of it.
template <int N>
__device__ __forceinline__ void elements_of(const Stored& s, int64_t r, int64_t c, float (&v)[N]) {
  if constexpr (N == 1) {
    v[0] = element_of(s, r, c);
  } else {
    with_format(s.w.format, [&](auto format) { elements_as<format()>(s, s.w.source_row(r), c, v); });
  }
}

}  // namespace lowrank::cuda
