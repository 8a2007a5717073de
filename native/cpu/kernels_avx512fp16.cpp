// AVX-512 with half-precision multiply-adds for products of bf16 and f16.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(avx512fp16) {

constexpr int kLanes = 16, kTileRows = 12, kTileVectors = 2;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/gemm_f16.inc"
#include "cpu/decode.inc"
#include "cpu/gemv.inc"
#include "cpu/pack.inc"
#include "cpu/pack_f16.inc"
#include "cpu/row_kernels.inc"
#include "cpu/product_out.inc"
#include "cpu/product_f16.inc"
#include "cpu/kernel_table.inc"

constexpr Kernels kKernels = [] {
  Kernels k = kernel_table("avx512fp16");
  k.gemm_f16 = gemm_f16;
  k.product_f16 = product_f16;
  k.longest_product = kLongestChains;
  k.scale_rows_f16 = scale_rows_f16;
  k.pack_f16 = pack_f16;
  return k;
}();

}  // namespace LOWRANK_UNIT(avx512fp16)

const InstructionSet LOWRANK_TABLE(kAvx512Fp16Set) = LOWRANK_SET(avx512fp16, kAvx512Int8, kAvx512Int8);

}  // namespace lowrank::cpu
