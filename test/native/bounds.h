// Pieces of error bounds. Every bound is one of these times a sum of magnitudes that is computed in double from the same
// operands as the result; none is measured and then widened.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace lowrank::test {

constexpr double kF32 = 0x1p-24, kBf16 = 0x1p-8, kF16 = 0x1p-11;  // unit roundoffs: half a step next to 1

constexpr double unit(DType t) { return t == DType::f32 ? kF32 : t == DType::bf16 ? kBf16 : kF16; }

// A sum of n products in f32, in any order, is off by at most n u sum|terms|, but rounding errors are as good as
// independent: the probability to exceed lambda sqrt(n) u sum|terms| is below 2 exp(-lambda^2 / 2) (Higham & Mary, "A new
// approach to probabilistic rounding error analysis", 2019). lambda = 6; 8 more for the few roundings before and after.
// With sqrt(n) one forgotten term of a sum shows.
inline double sum_error(int64_t n) { return (6 * std::sqrt(double(n)) + 8) * kF32; }

// Relative error of the vectors' e^x (documented as about 1 ulp, which is two roundoffs) with its argument's error.
constexpr double kExp = 4 * kF32;

// cap * tanh(x / cap) = cap * (2 / (1 + e^-2x/cap) - 1) is off by this share of the cap beside its argument's error: the sigmoid's error doubled,
// a difference and a product.
constexpr double kCap = 2 * (kExp + 2 * kF32) + 3 * kF32;

// Below this, results may be flushed to zero (AMX and bf16 dot products flush subnormals; e^x has none).
constexpr double kTiny = 1e-37;

// The part that rounding to t may add to a relative error: f16 has subnormal numbers, and half their step is large.
constexpr double smallest(DType t) { return t == DType::f16 ? 0x1p-25 : kTiny; }

}  // namespace lowrank::test
