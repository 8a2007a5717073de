// Element types, spelled alike in C++, TypeScript, configuration and logs, and exact scalar conversions between them.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/on_device.h"

namespace lowrank {

enum class DType : uint8_t { f32, bf16, f16 };

LOWRANK_ON_DEVICE constexpr int64_t dtype_bytes(DType t) { return t == DType::f32 ? 4 : 2; }
constexpr const char* dtype_name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
  }
  return "?";
}

using bf16_t = uint16_t;  // bit patterns; arithmetic is done in f32
using f16_t = uint16_t;

LOWRANK_ON_DEVICE inline float bf16_to_f32(bf16_t h) { return std::bit_cast<float>(uint32_t(h) << 16); }

// Round to nearest, ties to even; NaN stays NaN (quieted).
LOWRANK_ON_DEVICE inline bf16_t f32_to_bf16(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return bf16_t((u >> 16) | 0x40u);
  return bf16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

LOWRANK_ON_DEVICE inline float f16_to_f32(f16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16, exp = (h >> 10) & 31u, man = h & 1023u;
  if (exp == 31) return std::bit_cast<float>(sign | 0x7f800000u | (man << 13));
  if (exp != 0) return std::bit_cast<float>(sign | ((exp + 112) << 23) | (man << 13));
  const float mag = float(man) * 0x1p-24f;  // zero or subnormal: exact
  return sign ? -mag : mag;
}

LOWRANK_ON_DEVICE inline f16_t f32_to_f16(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f), sign = (u >> 16) & 0x8000u, mag = u & 0x7fffffffu;
  if (mag > 0x7f800000u) return f16_t(sign | 0x7e00u | ((mag >> 13) & 0x3ffu));  // NaN, quieted
  if (mag >= 0x477ff000u) return f16_t(sign | 0x7c00u);  // rounds past 65504: infinity
  if (mag < 0x38800000u) {                               // below 2^-14: the sum below rounds at 2^-24
    const float shifted = std::bit_cast<float>(mag) + 0.5f;
    return f16_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  return f16_t(sign | ((mag - 0x38000000u + 0xfffu + ((mag >> 13) & 1u)) >> 13));
}

LOWRANK_ON_DEVICE inline float load_f32(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::f32: return static_cast<const float*>(p)[i];
    case DType::bf16: return bf16_to_f32(static_cast<const bf16_t*>(p)[i]);
    case DType::f16: return f16_to_f32(static_cast<const f16_t*>(p)[i]);
  }
  return 0;
}

LOWRANK_ON_DEVICE inline void store_f32(void* p, DType t, int64_t i, float v) {
  switch (t) {
    case DType::f32: static_cast<float*>(p)[i] = v; break;
    case DType::bf16: static_cast<bf16_t*>(p)[i] = f32_to_bf16(v); break;
    case DType::f16: static_cast<f16_t*>(p)[i] = f32_to_f16(v); break;
  }
}

}  // namespace lowrank
