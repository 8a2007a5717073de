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

#if LOWRANK_EMULATE
const InstructionSet emulated::kAvx2Set = {"avx2 (emulated)", &emulated_avx2::kKernels, &emulated_avx2::kRows, &emulated::kAvx2Int8};
#else
const InstructionSet kAvx2Set = {"avx2", &avx2::kKernels, &avx2::kRows, &kAvx2Int8};
#endif

}  // namespace lowrank::cpu
