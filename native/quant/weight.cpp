// Compiled without fused multiply-adds: bitsandbytes rounds between the two.
#include "quant/weight.h"

#include "quant/element.h"

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

float Weight::maximum(int64_t b) const { return block_maximum(*this, b); }

float Weight::get(int64_t r, int64_t c) const {
  if (transposed) return stored().get(c, r);
  return stored_element(*this, code_values(format), format_bytes(format, cols), source_row(r), c);
}

}  // namespace lowrank
