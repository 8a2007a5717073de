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

#if LOWRANK_EMULATE
const InstructionSet emulated::kAvx512Bf16Set = {"avx512bf16 (emulated)", &emulated_avx512bf16::kKernels, &emulated_avx512bf16::kRows, &emulated::kAvx512VnniInt8};
#else
const InstructionSet kAvx512Bf16Set = {"avx512bf16", &avx512bf16::kKernels, &avx512bf16::kRows, &kAvx512Int8};
#endif

}  // namespace lowrank::cpu
