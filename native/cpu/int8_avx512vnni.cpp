// LLM.int8's products by groups of four bytes in registers of 16 lanes (AVX512-VNNI).
#include "cpu/int8_kernels.h"
#include "cpu/isa_unit.h"

namespace lowrank::cpu {
namespace LOWRANK_UNIT(int8_avx512vnni) {

constexpr int kLanes = 16, kRows = 12, kCodeBytes = 1, kShift = 128;
constexpr bool kFlushesBf16 = false;

#include "cpu/vector.inc"
#include "cpu/int8_codes.inc"
#include "cpu/int8_quads.inc"

constexpr Int8Kernels kTable = {.name = "vpdpbusd, 512 bits", .code_bytes = kCodeBytes, .shift = kShift, .rows = kRows, .codes = codes, .product = product};

}  // namespace LOWRANK_UNIT(int8_avx512vnni)

const Int8Kernels LOWRANK_TABLE(kAvx512VnniInt8) = LOWRANK_UNIT(int8_avx512vnni)::kTable;

}  // namespace lowrank::cpu
