// AVX-512 F/BW/DQ/VL: 32 registers of 16 lanes; 12 x 32 accumulators leave room for the operands.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(avx512) {

constexpr int kLanes = 16, kTileRows = 12, kTileVectors = 2;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/decode.inc"
#include "cpu/gemv.inc"
#include "cpu/pack.inc"
#include "cpu/row_kernels.inc"
#include "cpu/kernel_table.inc"

constexpr Kernels kKernels = kernel_table("avx512");

}  // namespace LOWRANK_UNIT(avx512)

const InstructionSet LOWRANK_TABLE(kAvx512Set) = LOWRANK_SET(avx512, kAvx512Int8, kAvx512Int8);

}  // namespace lowrank::cpu
