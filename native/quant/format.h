// How a frozen weight is stored: plainly, or in blocks of codes with their scales. One row per format.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lowrank {

enum class Format : uint8_t { f32, bf16, f16, nf4, fp4, i8, q4_0, q4_1, q5_0, q8_0, q4_k, q5_k, q6_k };

struct FormatInfo {
  Format format;
  const char* name;     // as in configuration, logs and TypeScript
  int64_t block;        // elements stored together; a row holds whole blocks, except of four bits (nf4, fp4), whose rows follow one another
  int64_t block_bytes;  // without statistics that lie elsewhere (nf4, fp4, i8)
};

// The block types of GGUF are ggml's.
inline constexpr FormatInfo kFormats[] = {
    {Format::f32, "f32", 1, 4},       {Format::bf16, "bf16", 1, 2},     {Format::f16, "f16", 1, 2},
    {Format::nf4, "nf4", 2, 1},       {Format::fp4, "fp4", 2, 1},       {Format::i8, "i8", 1, 1},
    {Format::q4_0, "q4_0", 32, 18},   {Format::q4_1, "q4_1", 32, 20},   {Format::q5_0, "q5_0", 32, 22},
    {Format::q8_0, "q8_0", 32, 34},   {Format::q4_k, "q4_k", 256, 144}, {Format::q5_k, "q5_k", 256, 176},
    {Format::q6_k, "q6_k", 256, 210},
};

constexpr const FormatInfo& format_info(Format f) { return kFormats[size_t(f)]; }
constexpr const char* format_name(Format f) { return format_info(f).name; }

constexpr bool is_plain(Format f) { return f <= Format::f16; }
// Codes of four bits in blocks that share a maximum, as bitsandbytes has them.
constexpr bool is_four_bit(Format f) { return f == Format::nf4 || f == Format::fp4; }
constexpr DType dtype_of(Format f) { return f == Format::bf16 ? DType::bf16 : f == Format::f16 ? DType::f16 : DType::f32; }
constexpr Format format_of(DType t) { return t == DType::bf16 ? Format::bf16 : t == DType::f16 ? Format::f16 : Format::f32; }

// Bytes of n elements; n is a multiple of the block, of four bits any number.
constexpr int64_t format_bytes(Format f, int64_t n) {
  const FormatInfo& i = format_info(f);
  return (n + i.block - 1) / i.block * i.block_bytes;
}

}  // namespace lowrank
