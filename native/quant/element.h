// One element of a frozen weight in any format: the reference of every fast decoder. Compiled without fused multiply-adds: bitsandbytes
// rounds between the two.
#pragma once
#include "quant/blocks.h"
#include "quant/weight.h"

namespace lowrank {

LOWRANK_ON_DEVICE inline float f32_at(const void* p, int64_t i) {
#ifdef __CUDA_ARCH__
  return static_cast<const float*>(p)[i];  // a device's memory is aligned
#else
  float f;
  std::memcpy(&f, static_cast<const char*>(p) + i * 4, 4);
  return f;
#endif
}
LOWRANK_ON_DEVICE inline uint16_t u16_at(const void* p, int64_t i) {
#ifdef __CUDA_ARCH__
  return static_cast<const uint16_t*>(p)[i];
#else
  uint16_t h;
  std::memcpy(&h, static_cast<const char*>(p) + i * 2, 2);
  return h;
#endif
}

// The maximum of block b of nf4 and fp4.
LOWRANK_ON_DEVICE inline float block_maximum(const Weight& w, int64_t b) {
  if (!w.absmax_codes) return f32_at(w.absmax, b);
  const float part = w.absmax_map[w.absmax_codes[b]] * f32_at(w.absmax, b / 256);
  return part + w.absmax_offset;
}

// Column c of a row as it is stored. values: code_values(format); row_bytes: format_bytes(format, cols).
LOWRANK_ON_DEVICE inline float stored_element(const Weight& w, const float* values, int64_t row_bytes, int64_t source, int64_t c) {
  const char* const p = static_cast<const char*>(w.data) + source * row_bytes;
  switch (w.format) {
    case Format::f32: return f32_at(p, c);
    case Format::bf16: return bf16_to_f32(u16_at(p, c));
    case Format::f16: return f16_to_f32(u16_at(p, c));
    case Format::nf4:
    case Format::fp4: {
      const int64_t i = source * w.cols + c;
      const uint8_t pair = static_cast<const uint8_t*>(w.data)[i / 2];
      return values[i % 2 ? pair & 15 : pair >> 4] * block_maximum(w, i / w.block_size);
    }
    case Format::i8: {
      const float code = reinterpret_cast<const int8_t*>(p)[c];
      return w.absmax ? code * f32_at(w.absmax, source) * kInt8Step : code;
    }
    case Format::q4_0: return block_element<Q4_0, 32>(p, c);
    case Format::q4_1: return block_element<Q4_1, 32>(p, c);
    case Format::q5_0: return block_element<Q5_0, 32>(p, c);
    case Format::q8_0: return block_element<Q8_0, 32>(p, c);
    case Format::q4_k: return block_element<Q4_K, 256>(p, c);
    case Format::q5_k: return block_element<Q5_K, 256>(p, c);
    case Format::q6_k: return block_element<Q6_K, 256>(p, c);
  }
  return 0;
}

}  // namespace lowrank
