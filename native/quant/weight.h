// A frozen weight of a linear, an embedding or a head, in any format.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/on_device.h"
#include "quant/format.h"

namespace lowrank {

// 1 / 127, as bitsandbytes has it.
constexpr float kInt8Step = 7.874015718698502e-3f;

// LLM.int8: about 1 / 127^2, as bitsandbytes has it on a CPU (1.8e-5 more than it is).
constexpr float kInt8ProductStep = 6.200124e-05f;
// The factor that turns values of at most `maximum` into codes, as PyTorch divides a number by a tensor.
LOWRANK_ON_DEVICE constexpr float int8_factor(float maximum) { return maximum > 0 ? 1.f / maximum * 127.f : 0.f; }

// How the backward pass makes codes of 8 bits of the gradient of a linear's output.
enum class GradientCodes : uint8_t { none, nearest, stochastic };
// The factor that turns gradients of at most `maximum` into codes. What is nearly zero is zero: its inverse would be infinite.
LOWRANK_ON_DEVICE constexpr float gradient_factor(float maximum) { return maximum > 1e-30f ? 127.f / maximum : 0.f; }
// What a code's product with a weight's code is worth, times that maximum.
constexpr float kGradientStep = kInt8Step * kInt8Step;

// NormalFloat's 16 values (Dettmers et al., 2023, as in bitsandbytes).
extern const float kNf4Values[16];
// A sign, two bits of exponent and one of mantissa, over 12 (as in bitsandbytes).
extern const float kFp4Values[16];

// The values of the codes of four bits.
inline const float* code_values(Format f) { return f == Format::fp4 ? kFp4Values : kNf4Values; }

// (O, I), row-major and contiguous, usually a view into a mapped file. `data` and the statistics may be misaligned.
struct Weight {
  const void* data = nullptr;
  Format format = Format::f32;
  int64_t rows = 0, cols = 0;

  // Rows of a head whose rotary pairs lie side by side in the source (GGUF files of the llama family); 0: in order. Row i
  // of a head of D is the source's 2i in the first half, 2(i - D/2) + 1 in the second.
  int64_t interleaved = 0;

  // The source is (I, O), as Conv1D of transformers has it; of plain formats. Only get() and products of linears know of it: all else reads
  // stored().
  bool transposed = false;

  // Elements behind each row that are not its own: of plain formats, where a backend has copied it so (Backend::resident). That backend alone reads it.
  int64_t spare = 0;

  // nf4, fp4: block_size elements of the flattened weight share an absolute maximum. i8: absmax (rows); w = code absmax
  // kInt8Step, and the code alone where absmax is null.
  int64_t block_size = 64;
  const void* absmax = nullptr;  // f32; with double quantisation of 256 maxima each
  // Double quantisation: maximum b is map[codes[b]] * absmax[b / 256] + offset.
  const uint8_t* absmax_codes = nullptr;
  const float* absmax_map = nullptr;  // (256)
  float absmax_offset = 0;

  // i8: in the forward pass of a linear activations are rounded to 8 bits, but for columns with one of at least this
  // (LLM.int8, see LinearFwdArgs); 0: they stay as they are.
  float outlier_threshold = 0;
  // i8: as the backward pass of a linear has it, see LinearBwdArgs.
  GradientCodes gradient_codes = GradientCodes::none;

  bool plain() const { return is_plain(format) && interleaved == 0; }
  LOWRANK_ON_DEVICE int64_t source_row(int64_t r) const {
    if (interleaved == 0) return r;
    const int64_t head = r / interleaved * interleaved, i = r - head, half = interleaved / 2;
    return head + (i < half ? 2 * i : 2 * (i - half) + 1);
  }
  // Where a row's elements begin; not of four bits, whose rows may begin within a byte.
  const char* row(int64_t source) const { return static_cast<const char*>(data) + format_bytes(format, source * cols); }
  float maximum(int64_t block) const;  // of nf4 and fp4
  LOWRANK_ON_DEVICE float row_maximum(int64_t source) const {  // of i8
    float f;
    std::memcpy(&f, static_cast<const char*>(absmax) + source * 4, 4);
    return f;
  }
  float get(int64_t r, int64_t c) const;
  // As it is stored, where it is stored transposed.
  Weight stored() const {
    Weight w = *this;
    if (transposed) std::swap(w.rows, w.cols);
    w.transposed = false;
    return w;
  }
};

}  // namespace lowrank
