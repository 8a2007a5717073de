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

#if LOWRANK_EMULATE
const InstructionSet emulated::kAvx512Set = {"avx512 (emulated)", &emulated_avx512::kKernels, &emulated_avx512::kRows, &emulated::kAvx512Int8};
#else
const InstructionSet kAvx512Set = {"avx512", &avx512::kKernels, &avx512::kRows, &kAvx512Int8};
#endif

}  // namespace lowrank::cpu
