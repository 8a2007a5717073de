// LLM.int8's products by groups of four bytes in registers of 8 lanes (AVX-VNNI).
#include "cpu/int8_kernels.h"
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(int8_avxvnni) {

constexpr int kLanes = 8, kRows = 6, kCodeBytes = 1, kShift = 128;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/int8_codes.inc"
#include "cpu/int8_quads.inc"

constexpr Int8Kernels kTable = {.name = "vpdpbusd, 256 bits", .code_bytes = kCodeBytes, .shift = kShift, .rows = kRows, .codes = codes, .product = product};

}  // namespace LOWRANK_UNIT(int8_avxvnni)

const Int8Kernels LOWRANK_TABLE(kAvxVnniInt8) = LOWRANK_UNIT(int8_avxvnni)::kTable;

}  // namespace lowrank::cpu
