// The products of LLM.int8 in integers: one table per way in which a processor multiplies 8-bit codes. Its sums are exact, so
// every way gives the same bits; it is chosen by the processor alone, beside the instruction set of all other kernels.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lowrank::cpu {

// Longest contraction whose sums fit 32 bits for certain: codes of activations are at most 127 in magnitude, of weights 128.
constexpr int64_t kLongestCodes = 128 * 1024;
static_assert(kLongestCodes * 127 * 128 < INT32_MAX);

struct Int8Kernels {
  const char* name;  // the instruction

  // How a row of activations' codes is stored: elements of code_bytes (1 or 2), each shifted by `shift` (0 or 128).
  int64_t code_bytes;
  int shift;
  int64_t rows;  // of a tile

  // codes = x * factor rounded to the nearest integer (x rounded to f16 first, ties to even), zero from n to a multiple of kCodeStep. What is
  // not within [-127, 127] becomes any code.
  void (*codes)(const void* x, int64_t n, DType act, float factor, void* codes);

  // acc (rows, 32 panels) int32, row stride ldacc: = or += codes (rows, k) times `panels` int8 panels, which lie panel_stride bytes
  // apart. Rows of codes lie ld bytes apart. k is a multiple of kCodeStep. column_sums: of each panel's 32 columns, over all stretches of the
  // contraction, panel_stride bytes apart, too; read where accumulate is false and the codes are shifted.
  void (*product)(const void* codes, int64_t ld, const int8_t* panel, int64_t panel_stride, const int32_t* column_sums, int64_t panels, int64_t k,
                  int64_t rows, bool accumulate, int32_t* acc, int64_t ldacc);

  // Called by each thread before and after a run of products (AMX tile configuration); may be null.
  void (*begin)() = nullptr;
  void (*end)() = nullptr;
};

// Every table that was compiled in: pairs of 16 bits (SSE2, AVX2, AVX-512BW), groups of four bytes (AVX-VNNI, AVX512-VNNI), tiles (AMX-INT8).
extern const Int8Kernels kScalarInt8, kAvx2Int8, kAvx512Int8, kAvxVnniInt8, kAvx512VnniInt8, kAmxInt8;

namespace emulated {
extern const Int8Kernels kAvx2Int8, kAvx512Int8, kAvxVnniInt8, kAvx512VnniInt8, kAmxInt8;
}  // namespace emulated

}  // namespace lowrank::cpu
