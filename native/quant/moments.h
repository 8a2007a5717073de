// 8-bit states of an optimizer (Dettmers et al., 2022, "8-bit Optimizers via Block-wise Quantization"), as bitsandbytes has
// them: blocks of 256 elements share an absolute maximum; a code stands for the nearest value of a dynamic map.
#pragma once
#include <cstdint>

namespace lowrank {

constexpr int64_t kMomentBlock = 256;

enum class Moment { first, second };  // by the signed map, by the unsigned one

const float* moment_map(Moment);  // (256), rising

// A block of n <= kMomentBlock elements.
void dequantize_moment(Moment, const uint8_t* codes, float maximum, int64_t n, float* x);
void quantize_moment(Moment, const float* x, int64_t n, uint8_t* codes, float* maximum);

}  // namespace lowrank
