// Row kernels of one instruction set: the passes between products. One source, row_kernels.inc, compiled per set.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lowrank::cpu {

struct RowKernels {
  // To be filled in: conversions, norm, rope, SwiGLU, softmax pieces, cross-entropy rows, optimizer.
  int unused;
};

}  // namespace lowrank::cpu
