// Neighbouring elements of a row, read and written in accesses of 16 bytes. A kernel has a form that takes kWide elements at a time and
// one that takes them singly, for rows that do not begin at 16 bytes or do not end at kWide elements.
#pragma once
#include <bit>

#include "cuda/block.h"

namespace lowrank::cuda {

constexpr int kWide = 8;

// A register of 16 bytes.
struct alignas(16) Line {
  uint32_t words[4];
};

template <class T, int N>
__device__ __forceinline__ void read(const T* p, T (&v)[N]) {
  static_assert(sizeof(T) == 4);
  if constexpr (N == 1) {
    v[0] = *p;
  } else {
    for (int i = 0; i < N / 4; i++) {
      const Line line = reinterpret_cast<const Line*>(p)[i];
      for (int k = 0; k < 4; k++) v[4 * i + k] = std::bit_cast<T>(line.words[k]);
    }
  }
}

// v = elements [c, c + N) of row r
template <int N>
__device__ __forceinline__ void read(const Mat& x, int64_t r, int64_t c, float (&v)[N]) {
  if constexpr (N == 1) {
    v[0] = x.get(r, c);
  } else if (x.dtype == DType::f32) {
    read(reinterpret_cast<const float*>(x.row(r)) + c, v);
  } else {
    static_assert(N == 8);
    const Line line = *reinterpret_cast<const Line*>(x.row(r) + 2 * c);
    const bool bf16 = x.dtype == DType::bf16;
    for (int k = 0; k < N; k++) {
      const uint16_t half = uint16_t(line.words[k / 2] >> (k % 2 * 16));
      v[k] = bf16 ? bf16_to_f32(half) : f16_to_f32(half);
    }
  }
}

// elements [c, c + N) of row r = v
template <int N>
__device__ __forceinline__ void write(const Mat& x, int64_t r, int64_t c, const float (&v)[N]) {
  if constexpr (N == 1) {
    x.set(r, c, v[0]);
  } else if (x.dtype == DType::f32) {
    for (int i = 0; i < N / 4; i++) {
      Line line;
      for (int k = 0; k < 4; k++) line.words[k] = std::bit_cast<uint32_t>(v[4 * i + k]);
      reinterpret_cast<Line*>(x.row(r) + 4 * c)[i] = line;
    }
  } else {
    static_assert(N == 8);
    const bool bf16 = x.dtype == DType::bf16;
    const auto half = [&](float f) { return uint32_t(bf16 ? f32_to_bf16(f) : f32_to_f16(f)); };
    Line line;
    for (int k = 0; k < N / 2; k++) line.words[k] = half(v[2 * k]) | half(v[2 * k + 1]) << 16;
    *reinterpret_cast<Line*>(x.row(r) + 2 * c) = line;
  }
}

// Which of the elements [i, i + N) a mask keeps: four of them have one block of random numbers.
template <int N>
__device__ __forceinline__ void read(const Dropout& d, uint64_t i, bool (&kept)[N]) {
  const uint64_t j = d.offset + i;
  if constexpr (N > 1) {
    if (j % 4 == 0) {
      for (int k = 0; k < N / 4; k++) {
        const std::array<uint32_t, 4> words = philox(d.seed, d.stream, j / 4 + k);
        for (int l = 0; l < 4; l++) kept[4 * k + l] = uniform01(words[l]) >= d.p;
      }
      return;
    }
  }
  for (int k = 0; k < N; k++) kept[k] = d.keep(i + k);
}

template <int N>
__device__ __forceinline__ int64_t first_element() { return N * first_column(); }
template <int N>
__device__ __forceinline__ int64_t element_step() { return N * column_step(); }

// Whether the elements may be taken kWide at a time; an operand that is not there does not decide.
inline bool is_wide(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
inline bool is_wide(const Mat& x) { return !x || (is_wide(x.data) && x.ld * dtype_bytes(x.dtype) % 16 == 0 && x.cols % kWide == 0); }
template <class... Operands>
bool all_wide(const Operands&... operands) { return (is_wide(operands) && ...); }

}  // namespace lowrank::cuda

// `kernel` is a template of the number of elements that a thread takes at a time.
#define LOWRANK_LAUNCH_WIDE_ELEMENTS(wide, kernel, matrix, stream, ...)                                                                        \
  do {                                                                                                                                         \
    if (wide) LOWRANK_LAUNCH(kernel<kWide>, (unsigned((matrix).rows), column_parts((matrix).rows, (matrix).cols / kWide)), kThreads, stream, __VA_ARGS__); \
    else LOWRANK_LAUNCH(kernel<1>, (unsigned((matrix).rows), column_parts((matrix).rows, (matrix).cols)), kThreads, stream, __VA_ARGS__);        \
  } while (0)
#define LOWRANK_LAUNCH_WIDE_ROWS(wide, kernel, rows, stream, ...)                          \
  do {                                                                                     \
    if (wide) LOWRANK_LAUNCH(kernel<kWide>, (unsigned(rows)), kThreads, stream, __VA_ARGS__); \
    else LOWRANK_LAUNCH(kernel<1>, (unsigned(rows)), kThreads, stream, __VA_ARGS__);          \
  } while (0)
