// AVX2 + FMA + F16C: 16 registers of 8 lanes; 6 x 16 accumulators leave room for the operands.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(avx2) {

constexpr int kLanes = 8, kTileRows = 6, kTileVectors = 2;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/decode.inc"
#include "cpu/gemv.inc"
#include "cpu/pack.inc"
#include "cpu/row_kernels.inc"
#include "cpu/kernel_table.inc"

constexpr Kernels kKernels = kernel_table("avx2");

}  // namespace LOWRANK_UNIT(avx2)

const InstructionSet LOWRANK_TABLE(kAvx2Set) = LOWRANK_SET(avx2, kAvx2Int8, kAvx2Int8);

}  // namespace lowrank::cpu
