// Baseline x86-64: SSE2 registers of 4 lanes, 16 of them.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(scalar) {

constexpr int kLanes = 4, kTileRows = 4, kTileVectors = 2;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/decode.inc"
#include "cpu/gemv.inc"
#include "cpu/pack.inc"
#include "cpu/row_kernels.inc"
#include "cpu/kernel_table.inc"

constexpr Kernels kKernels = kernel_table("scalar");

}  // namespace LOWRANK_UNIT(scalar)

const InstructionSet kScalarSet = {"scalar", &scalar::kKernels, &scalar::kRows, &kScalarInt8};

}  // namespace lowrank::cpu
