// The block types of GGUF files, element by element: the reference of every fast decoder. Layouts and formulas are
// ggml's (ggml-common.h, dequantize_row_*); products of a scale and a code are exact in f32.
#pragma once
#include <cstdint>
#include <cstring>

#include "base/dtype.h"

namespace lowrank {

struct Q4_0 {  // x = d (q - 8); element j of the first half in the low nibble of byte j, of the second in the high one
  f16_t d;
  uint8_t q[16];
};
struct Q4_1 {  // x = d q + m
  f16_t d, m;
  uint8_t q[16];
};
struct Q5_0 {  // x = d (q - 16); bit j of `high` is the fifth of element j
  f16_t d;
  uint8_t high[4], q[16];
};
struct Q8_0 {  // x = d q
  f16_t d;
  int8_t q[32];
};
struct Q4_K {  // 8 runs of 32: x = (d scale) q - (d_min min); 6-bit scales and mins in 12 bytes
  f16_t d, d_min;
  uint8_t scales[12], q[128];
};
struct Q5_K {  // as Q4_K; bit r of high[l] is the fifth of element l of run r
  f16_t d, d_min;
  uint8_t scales[12], high[32], q[128];
};
struct Q6_K {  // 16 runs of 16: x = (d scale) (q - 32)
  uint8_t low[128], high[64];
  int8_t scales[16];
  f16_t d;
};
static_assert(sizeof(Q4_0) == 18 && sizeof(Q4_1) == 20 && sizeof(Q5_0) == 22 && sizeof(Q8_0) == 34);
static_assert(sizeof(Q4_K) == 144 && sizeof(Q5_K) == 176 && sizeof(Q6_K) == 210);

LOWRANK_ON_DEVICE inline int nibble(const uint8_t* q, int64_t i, int64_t half) { return i < half ? q[i] & 15 : q[i - half] >> 4; }

// Scale and min of run r of Q4_K and Q5_K. The first four are six bits of a byte each. Each other one is four bits of one
// byte and the two bits that one of the first four leaves over.
LOWRANK_ON_DEVICE inline void k_scale(const uint8_t* s, int64_t r, int& scale, int& min) {
  if (r < 4) {
    scale = s[r] & 63;
    min = s[r + 4] & 63;
  } else {
    scale = (s[r + 4] & 15) | ((s[r - 4] >> 6) << 4);
    min = (s[r + 4] >> 4) | ((s[r] >> 6) << 4);
  }
}

LOWRANK_ON_DEVICE inline float element(const Q4_0& b, int64_t i) { return f16_to_f32(b.d) * float(nibble(b.q, i, 16) - 8); }
LOWRANK_ON_DEVICE inline float element(const Q4_1& b, int64_t i) { return f16_to_f32(b.d) * float(nibble(b.q, i, 16)) + f16_to_f32(b.m); }
LOWRANK_ON_DEVICE inline float element(const Q5_0& b, int64_t i) {
  const int fifth = (b.high[i / 8] >> (i % 8)) & 1;
  return f16_to_f32(b.d) * float((nibble(b.q, i, 16) | fifth << 4) - 16);
}
LOWRANK_ON_DEVICE inline float element(const Q8_0& b, int64_t i) { return f16_to_f32(b.d) * float(b.q[i]); }
LOWRANK_ON_DEVICE inline float element(const Q4_K& b, int64_t i) {
  int scale, min;
  k_scale(b.scales, i / 32, scale, min);
  const int q = nibble(b.q + i / 64 * 32, i % 64, 32);
  return f16_to_f32(b.d) * float(scale) * float(q) - f16_to_f32(b.d_min) * float(min);
}
LOWRANK_ON_DEVICE inline float element(const Q5_K& b, int64_t i) {
  int scale, min;
  k_scale(b.scales, i / 32, scale, min);
  const int q = nibble(b.q + i / 64 * 32, i % 64, 32) | ((b.high[i % 32] >> (i / 32)) & 1) << 4;
  return f16_to_f32(b.d) * float(scale) * float(q) - f16_to_f32(b.d_min) * float(min);
}
LOWRANK_ON_DEVICE inline float element(const Q6_K& b, int64_t i) {
  const int64_t half = i / 128, quarter = i % 128 / 32, l = i % 32;  // four runs of 32 share 32 bytes of `high`
  const uint8_t low = b.low[half * 64 + (quarter & 1) * 32 + l];
  const int q = (quarter < 2 ? low & 15 : low >> 4) | ((b.high[half * 32 + l] >> (2 * quarter)) & 3) << 4;
  return f16_to_f32(b.d) * float(b.scales[i / 16]) * float(q - 32);
}

// Element i of blocks that begin at p, which may be misaligned.
template <class Block, int64_t kElements>
LOWRANK_ON_DEVICE inline float block_element(const void* p, int64_t i) {
  const char* const at = static_cast<const char*>(p) + i / kElements * int64_t(sizeof(Block));
#ifdef __CUDA_ARCH__
  return element(*reinterpret_cast<const Block*>(at), i % kElements);  // a device's memory is aligned
#else
  Block b;
  std::memcpy(&b, at, sizeof(Block));
  return element(b, i % kElements);
#endif
}

}  // namespace lowrank
