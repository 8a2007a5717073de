// AMX-BF16 tiles for bf16 products, AVX-512 for other kernels.
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(amx) {

constexpr int kLanes = 16, kTileRows = 12, kTileVectors = 2;
constexpr bool kFlushesBf16 = true;

#include "cpu/vector.inc"
#include "cpu/gemm.inc"
#include "cpu/tiles.inc"
#include "cpu/gemm_bf16_amx.inc"
#include "cpu/decode.inc"
#include "cpu/gemv.inc"
#include "cpu/pack.inc"
#include "cpu/row_kernels.inc"
#include "cpu/product_out.inc"
#include "cpu/product_bf16_amx.inc"
#include "cpu/kernel_table.inc"

constexpr Kernels kKernels = kernel_table("amx", gemm_bf16, tile_begin, tile_end, product_bf16, std::numeric_limits<int64_t>::max());

}  // namespace LOWRANK_UNIT(amx)

const InstructionSet LOWRANK_TABLE(kAmxSet) = LOWRANK_SET(amx, kAvx512Int8, kAmxInt8);

}  // namespace lowrank::cpu
