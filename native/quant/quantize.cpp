// Compiled without fused multiply-adds, for every rounding counts.
#include "quant/quantize.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/f16_rounding.h"
#include "quant/dynamic_map.h"

namespace lowrank {

namespace {

// bitsandbytes' maximum of a block of zeros, so as not to divide by zero.
constexpr float kLeastMaximum = 1e-38f;
constexpr int64_t kNestedBlock = 256;

// NaN where one is NaN: without their signs, the bits of floats are in the order of the numbers, and NaN comes last.
float largest(const float* x, int64_t n) {
  uint32_t m = 0;
  for (int64_t i = 0; i < n; i++) m = std::max(m, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  return std::bit_cast<float>(m);
}

bool all_finite(const LargePageVector<float>& x) {
  return std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); });
}

// Codes of four bits by their values; a value on the middle between two neighbouring ones belongs to the lower one. Of fp4's two
// codes for zero the first comes first. From -1 to 1 there are cells, narrower than the distance of two middles: each has one at most.
class Steps {
 public:
  explicit Steps(const float* values) {
    std::array<uint8_t, 16> codes;
    for (size_t i = 0; i < codes.size(); i++) codes[i] = uint8_t(i);
    std::stable_sort(codes.begin(), codes.end(), [&](uint8_t a, uint8_t b) { return values[a] < values[b]; });
    const auto middle = [&](size_t step) { return (values[codes[step]] + values[codes[step + 1]]) / 2; };
    size_t step = 0;  // of the middles below the cell
    for (size_t i = 0; i < cells_.size(); i++) {
      cells_[i] = {std::numeric_limits<float>::infinity(), codes[step], codes[step]};
      if (step + 1 == codes.size() || cell(middle(step)) > i) continue;
      cells_[i] = {middle(step), codes[step], codes[step + 1]};
      step++;
    }
  }

  // Of a number from -1 to 1, or of NaN, which has the lowest code.
  uint8_t code(float v) const {
    const Cell& c = cells_[cell(v)];
    return v > c.middle ? c.above : c.below;
  }

 private:
  static constexpr int kPerOne = 512;
  struct Cell {
    float middle;
    uint8_t below, above;
  };
  std::array<Cell, 2 * kPerOne + 1> cells_;

  static size_t cell(float v) { return v > -1.f ? size_t(int((v + 1.f) * float(kPerOne))) : 0; }
};

const Steps& steps_of(Format f) {
  static const Steps nf4(kNf4Values), fp4(kFp4Values);
  return f == Format::fp4 ? fp4 : nf4;
}

void four_bit_codes(const Steps& steps, const float* scaled, int64_t n, uint8_t* codes) {
  for (int64_t i = 0; i + 1 < n; i += 2) codes[i / 2] = uint8_t(steps.code(scaled[i]) << 4 | steps.code(scaled[i + 1]));
  if (n % 2 != 0) codes[n / 2] = uint8_t(steps.code(scaled[n - 1]) << 4 | steps.code(0.f));
}

// The nearest of the map's values for each of 65,536 values from -1 to 1: bitsandbytes looks its codes up, too, and so
// rounds some values to the next but one.
const std::vector<uint8_t>& dynamic_table() {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> t(65536);
    const float* const map = dynamic_map();
    int code = 0;
    for (int64_t i = 0; i < 65536; i++) {
      const float v = float(i) / 65535.f * 2.f - 1.f;
      while (code < 255 && (map[code] + map[code + 1]) / 2.f < v) code++;
      t[size_t(i)] = uint8_t(code);
    }
    return t;
  }();
  return table;
}

// Elements [first, first + n) of a plain weight as f32.
void widen(const Weight& w, int64_t first, int64_t n, float* out) {
  if (w.transposed) {
    for (int64_t i = 0; i < n; i++) out[i] = w.get((first + i) / w.cols, (first + i) % w.cols);
    return;
  }
  const DType t = dtype_of(w.format);
  const char* const p = static_cast<const char*>(w.data) + first * dtype_bytes(t);
  if (t == DType::f32) {
    std::memcpy(out, p, size_t(n * 4));
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    uint16_t h;
    std::memcpy(&h, p + i * 2, 2);
    out[i] = t == DType::bf16 ? bf16_to_f32(h) : f16_to_f32(h);
  }
}

int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }

}  // namespace

void quantize_four_bit(Format format, const float* x, int64_t n, int64_t block_size, uint8_t* codes, float* absmax) {
  const Steps& steps = steps_of(format);
  std::vector<float> scaled(static_cast<size_t>(block_size));
  for (int64_t at = 0, b = 0; at < n; at += block_size, b++) {
    const int64_t m = std::min(block_size, n - at);
    const float top = largest(x + at, m), safe = std::max(top, kLeastMaximum), inverse = 1.f / safe;
    const bool whole = m == block_size;
    absmax[b] = whole ? top : safe;
    for (int64_t i = 0; i < m; i++) {
      // The remainder is divided, the whole blocks are multiplied.
      const float v = whole ? x[at + i] * inverse : x[at + i] / safe;
      scaled[size_t(i)] = std::clamp(v, -1.f, 1.f);
    }
    four_bit_codes(steps, scaled.data(), m, codes + at / 2);
  }
}

void quantize_dynamic(const float* x, int64_t n, int64_t block_size, uint8_t* codes, float* absmax) {
  const std::vector<uint8_t>& table = dynamic_table();
  for (int64_t at = 0, b = 0; at < n; at += block_size, b++) {
    const int64_t m = std::min(block_size, n - at);
    absmax[b] = largest(x + at, m);
    if (absmax[b] == 0) {
      std::memset(codes + at, 0, size_t(m));
      continue;
    }
    const float inverse = 1.f / absmax[b];
    for (int64_t i = 0; i < m; i++) {
      const float v = std::clamp(x[at + i] * inverse, -1.f, 1.f), place = (v + 1.f) * 0.5f * 65535.f + 0.5f;
      // The inverse of less than 2^-128 is infinite, and times 0 it is NaN.
      codes[at + i] = table[std::isnan(place) ? 32768 : size_t(place)];
    }
  }
}

void quantize_rows(const float* x, int64_t rows, int64_t cols, int8_t* codes, float* absmax) {
  // Numbers of this size have no bits below 1: a sum with it is rounded to a whole number, ties to even.
  constexpr float kWhole = 0x1.8p23f;
  std::vector<float> half(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) half[size_t(c)] = rounded_to_f16(x[r * cols + c]);
    const float top = largest(half.data(), cols), factor = int8_factor(top);
    absmax[r] = top;
    for (int64_t c = 0; c < cols; c++) codes[r * cols + c] = int8_t(std::bit_cast<uint32_t>(half[size_t(c)] * factor + kWhole));
  }
}

int64_t quantized_bytes(const QuantizeSpec& s, int64_t rows, int64_t cols) {
  const int64_t n = rows * cols;
  if (s.format == Format::i8) return n + rows * 4;
  const int64_t blocks = blocks_of(n, s.block_size);
  return format_bytes(s.format, n) + (s.double_quant ? blocks + blocks_of(blocks, kNestedBlock) * 4 : blocks * 4);
}

QuantizedWeight::QuantizedWeight(const Weight& w, const QuantizeSpec& s, ThreadPool& pool) {
  const int64_t n = w.rows * w.cols;
  codes_.resize(size_t(format_bytes(s.format, n)));
  view_ = {.data = codes_.data(), .format = s.format, .rows = w.rows, .cols = w.cols, .block_size = s.block_size};
  if (s.format == Format::i8) {
    absmax_.resize(size_t(w.rows));
    std::atomic<bool> finite = true;
    pool.run(w.rows, [&](int64_t r, int) {
      std::vector<float> row(static_cast<size_t>(w.cols));
      widen(w, r * w.cols, w.cols, row.data());
      // What f16 cannot hold is infinite in the row's maximum.
      if (!std::isfinite(largest(row.data(), w.cols))) {
        finite = false;
        absmax_[size_t(r)] = 0;  // and no codes: the weight is refused
        return;
      }
      quantize_rows(row.data(), 1, w.cols, reinterpret_cast<int8_t*>(codes_.data()) + r * w.cols, absmax_.data() + r);
    });
    finite_ = finite;
    fits_ = all_finite(absmax_);
  } else {
    const int64_t blocks = blocks_of(n, s.block_size), step = std::max<int64_t>(1, 8192 / s.block_size);
    absmax_.resize(size_t(blocks));
    pool.run(blocks_of(blocks, step), [&](int64_t task, int) {
      const int64_t b = task * step, at = b * s.block_size, m = std::min(step * s.block_size, n - at);
      std::vector<float> x(static_cast<size_t>(m));
      widen(w, at, m, x.data());
      quantize_four_bit(s.format, x.data(), m, s.block_size, codes_.data() + at / 2, absmax_.data() + b);
    });
    finite_ = all_finite(absmax_);
    if (s.double_quant) {
      double sum = 0;
      for (const float a : absmax_) sum += double(a);
      view_.absmax_offset = float(sum / double(blocks));
      for (float& a : absmax_) a -= view_.absmax_offset;
      absmax_codes_.resize(size_t(blocks));
      LargePageVector<float> nested(size_t(blocks_of(blocks, kNestedBlock)));
      quantize_dynamic(absmax_.data(), blocks, kNestedBlock, absmax_codes_.data(), nested.data());
      absmax_ = std::move(nested);
      view_.absmax_codes = absmax_codes_.data();
      view_.absmax_map = dynamic_map();
    }
  }
  view_.absmax = absmax_.data();
}

}  // namespace lowrank
