// Compiled without fused multiply-adds: bitsandbytes rounds between the two.
#include "quant/weight.h"

#include <cstring>

#include "quant/blocks.h"

namespace lowrank {

const float kNf4Values[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

const float kFp4Values[16] = {0.0f, 0.0625f / 12, 8.0f / 12,  1.0f,  4.0f / 12,  0.5f,  2.0f / 12,  0.25f,
                              0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f};

namespace {

float f32_at(const void* p, int64_t i) {
  float f;
  std::memcpy(&f, static_cast<const char*>(p) + i * 4, 4);
  return f;
}
uint16_t u16_at(const void* p, int64_t i) {
  uint16_t h;
  std::memcpy(&h, static_cast<const char*>(p) + i * 2, 2);
  return h;
}

}  // namespace

float Weight::maximum(int64_t b) const {
  if (!absmax_codes) return f32_at(absmax, b);
  const float part = absmax_map[absmax_codes[b]] * f32_at(absmax, b / 256);
  return part + absmax_offset;
}

float Weight::get(int64_t r, int64_t c) const {
  if (transposed) return stored().get(c, r);
  const int64_t source = source_row(r);
  const char* const p = row(source);
  switch (format) {
    case Format::f32: return f32_at(p, c);
    case Format::bf16: return bf16_to_f32(u16_at(p, c));
    case Format::f16: return f16_to_f32(u16_at(p, c));
    case Format::nf4:
    case Format::fp4: {
      const int64_t i = source * cols + c;
      const uint8_t pair = static_cast<const uint8_t*>(data)[i / 2];
      return code_values(format)[i % 2 ? pair & 15 : pair >> 4] * maximum(i / block_size);
    }
    case Format::i8: {
      const float code = reinterpret_cast<const int8_t*>(p)[c];
      return absmax ? code * row_maximum(source) * kInt8Step : code;
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
