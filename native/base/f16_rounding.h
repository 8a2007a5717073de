// Rounding to f16 without a branch, for loops that the compiler makes vectors of.
#pragma once
#include <bit>
#include <cstdint>

namespace lowrank {

// f16_to_f32(f32_to_f16(f)), see base/dtype.h.
inline float rounded_to_f16(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f), sign = u & 0x80000000u, mag = u & 0x7fffffffu;
  const uint32_t tiny = std::bit_cast<uint32_t>((std::bit_cast<float>(mag) + 0.5f) - 0.5f);  // a step of 2^-24
  const uint32_t normal = (mag + 0xfffu + ((mag >> 13) & 1u)) & ~0x1fffu;
  const uint32_t finite = mag < 0x38800000u ? tiny : normal;
  const uint32_t beyond = mag > 0x7f800000u ? (mag | 0x400000u) & ~0x1fffu : 0x7f800000u;
  return std::bit_cast<float>(sign | (mag >= 0x477ff000u ? beyond : finite));
}

}  // namespace lowrank
