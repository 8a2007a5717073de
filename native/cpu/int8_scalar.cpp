// LLM.int8's products by pairs of 16 bits in registers of 4 lanes (SSE2).
#include "cpu/int8_kernels.h"
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(int8_scalar) {

constexpr int kLanes = 4, kRows = 4, kCodeBytes = 2, kShift = 0;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/int8_codes.inc"
#include "cpu/int8_pairs.inc"

constexpr Int8Kernels kTable = {.name = "pmaddwd", .code_bytes = kCodeBytes, .shift = kShift, .rows = kRows, .codes = codes, .product = product};

}  // namespace LOWRANK_UNIT(int8_scalar)

const Int8Kernels kScalarInt8 = int8_scalar::kTable;

}  // namespace lowrank::cpu
