// AVX-512 with the bf16 dot product vdpbf16ps.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(avx512bf16) {

constexpr int kLanes = 16, kTileRows = 12, kTileVectors = 2;
constexpr bool kFlushesBf16 = true;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/gemm_bf16_dot.inc"
#include "cpu/decode.inc"
#include "cpu/gemv.inc"
#include "cpu/gemv_bf16_dot.inc"
#include "cpu/pack.inc"
#include "cpu/row_kernels.inc"
#include "cpu/product_out.inc"
#include "cpu/product_bf16_dot.inc"
#include "cpu/kernel_table.inc"

constexpr Kernels kKernels = kernel_table("avx512bf16", gemm_bf16, nullptr, nullptr, product_bf16, kLongestProduct, gemv_bf16);

}  // namespace LOWRANK_UNIT(avx512bf16)

const InstructionSet LOWRANK_TABLE(kAvx512Bf16Set) = LOWRANK_SET(avx512bf16, kAvx512Int8, kAvx512VnniInt8);

}  // namespace lowrank::cpu
