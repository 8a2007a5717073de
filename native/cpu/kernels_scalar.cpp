// Baseline x86-64: SSE2 registers of 4 lanes, 16 of them.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(scalar) {

constexpr int kLanes = 4, kTileRows = 4, kTileVectors = 2;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/pack.inc"
#include "cpu/row_kernels.inc"

const Kernels kKernels = {
    .isa = "scalar",
    .gemm_f32 = gemm_f32,
    .gemm_bf16 = nullptr,
    .pack_fwd_f32 = pack_fwd_f32,
    .pack_bwd_f32 = pack_bwd_f32,
    .pack_fwd_bf16 = pack_fwd_bf16,
    .pack_bwd_bf16 = pack_bwd_bf16,
    .gemv = gemv,
    .begin = nullptr,
    .end = nullptr,
};

}  // namespace LOWRANK_UNIT(scalar)

const InstructionSet kScalarSet = {"scalar", &scalar::kKernels, &scalar::kRows};

}  // namespace lowrank::cpu
