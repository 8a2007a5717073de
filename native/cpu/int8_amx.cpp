// LLM.int8's products on AMX-INT8 tiles.
#include "cpu/int8_kernels.h"
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(int8_amx) {

constexpr int kLanes = 16, kRows = 32, kCodeBytes = 1, kShift = 0;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/int8_codes.inc"
#include "cpu/tiles.inc"
#include "cpu/int8_tiles.inc"

constexpr Int8Kernels kTable = {.name = "tdpbssd", .code_bytes = kCodeBytes, .shift = kShift, .rows = kRows, .codes = codes, .product = product, .begin = tile_begin, .end = tile_end};

}  // namespace LOWRANK_UNIT(int8_amx)

const Int8Kernels LOWRANK_TABLE(kAmxInt8) = LOWRANK_UNIT(int8_amx)::kTable;

}  // namespace lowrank::cpu
