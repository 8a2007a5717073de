// LLM.int8's products by pairs of 16 bits in registers of 8 lanes.
#include "cpu/int8_kernels.h"
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(int8_avx2) {

constexpr int kLanes = 8, kRows = 6, kCodeBytes = 2, kShift = 0;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/int8_codes.inc"
#include "cpu/int8_pairs.inc"

constexpr Int8Kernels kTable = {.name = "vpmaddwd, 256 bits", .code_bytes = kCodeBytes, .shift = kShift, .rows = kRows, .codes = codes, .product = product};

}  // namespace LOWRANK_UNIT(int8_avx2)

const Int8Kernels LOWRANK_TABLE(kAvx2Int8) = LOWRANK_UNIT(int8_avx2)::kTable;

}  // namespace lowrank::cpu
