// Quantising in the obvious way, value by value, against the loops that compilers make vectors of.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/f16_rounding.h"
#include "modes.h"
#include "quant/quantize.h"
#include "runners.h"

namespace lowrank::test {

namespace {

// The first of the nearest values; a middle belongs to the lower one.
uint8_t nearest(const float* values, float v) {
  std::vector<uint8_t> codes(16);
  for (size_t i = 0; i < codes.size(); i++) codes[i] = uint8_t(i);
  std::stable_sort(codes.begin(), codes.end(), [&](uint8_t a, uint8_t b) { return values[a] < values[b]; });
  size_t step = 0;
  for (size_t i = 0; i + 1 < codes.size(); i++) step += v > (values[codes[i]] + values[codes[i + 1]]) / 2;
  return codes[step];
}

// Beside every middle and all over [-1, 1]; in blocks whose maximum is 1.
std::vector<float> four_bit_inputs(const float* values, int64_t block) {
  std::vector<float> inputs = {0.f, -0.f, 1.f, -1.f, std::numeric_limits<float>::denorm_min(), -std::numeric_limits<float>::denorm_min()};
  for (int i = 0; i < 16; i++) {
    for (int j = 0; j < 16; j++) {
      const float middle = (values[i] + values[j]) / 2;
      for (const float v : {middle, std::nextafterf(middle, -2.f), std::nextafterf(middle, 2.f)}) inputs.push_back(std::clamp(v, -1.f, 1.f));
    }
  }
  for (int i = -4000; i <= 4000; i++) inputs.push_back(float(i) / 4000.f);
  std::vector<float> blocks;
  for (size_t i = 0; i < inputs.size(); i++) {
    if (int64_t(blocks.size()) % block == 0) blocks.push_back(1.f);
    blocks.push_back(inputs[i]);
  }
  blocks.resize((blocks.size() + size_t(block) - 1) / size_t(block) * size_t(block), 0.f);
  return blocks;
}

void test_four_bits(Format format, const float* values, Report& report) {
  constexpr int64_t kBlock = 64;
  const std::vector<float> x = four_bit_inputs(values, kBlock);
  std::vector<uint8_t> codes(x.size() / 2);
  std::vector<float> absmax(x.size() / size_t(kBlock));
  quantize_four_bit(format, x.data(), int64_t(x.size()), kBlock, codes.data(), absmax.data());
  int64_t wrong = 0;
  for (size_t i = 0; i < x.size(); i++) wrong += (i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4) != nearest(values, x[i]);
  report.expect(wrong == 0, std::string("quantising: codes of ") + format_info(format).name, std::to_string(wrong) + " are not the nearest");
}

void test_f16(Report& report) {
  int64_t wrong = 0;
  const auto look = [&](uint32_t bits) {
    const float f = std::bit_cast<float>(bits);
    wrong += std::bit_cast<uint32_t>(rounded_to_f16(f)) != std::bit_cast<uint32_t>(f16_to_f32(f32_to_f16(f)));
  };
  for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 4093) look(uint32_t(bits));
  for (uint32_t high = 0; high < 65536; high++) {
    for (const uint32_t low : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x3000u, 0xefffu, 0xf000u, 0xffffu}) look(high << 16 | low);
  }
  report.expect(wrong == 0, "quantising: rounding to f16 without a branch", std::to_string(wrong) + " values differ");
}

void test_rows(Report& report) {
  constexpr int64_t kRows = 64, kCols = 203;
  std::vector<float> x(size_t(kRows * kCols));
  uint32_t state = 7;
  for (int64_t i = 0; i < kRows * kCols; i++) {
    state = state * 1664525 + 1013904223;
    const float v = float(int32_t(state)) * 0x1p-31f;
    // Rows of all sizes that f16 holds, one of zeros, and halves of codes.
    x[size_t(i)] = i / kCols == 0 ? 0.f : i / kCols == 1 ? float(state >> 24) - 127.5f : std::ldexp(v, int(i / kCols) % 40 - 24);
  }
  std::vector<int8_t> codes(x.size());
  std::vector<float> absmax(static_cast<size_t>(kRows));
  quantize_rows(x.data(), kRows, kCols, codes.data(), absmax.data());
  int64_t wrong = 0;
  for (int64_t r = 0; r < kRows; r++) {
    float top = 0;
    const auto half = [&](int64_t c) { return f16_to_f32(f32_to_f16(x[size_t(r * kCols + c)])); };
    for (int64_t c = 0; c < kCols; c++) top = std::max(top, std::fabs(half(c)));
    wrong += absmax[size_t(r)] != top;
    for (int64_t c = 0; c < kCols; c++) wrong += codes[size_t(r * kCols + c)] != int8_t(std::nearbyint(half(c) * int8_factor(top)));
  }
  report.expect(wrong == 0, "quantising: codes of 8 bits", std::to_string(wrong) + " differ");
}

}  // namespace

void test_quantizing(Report& report) {
  test_four_bits(Format::nf4, kNf4Values, report);
  test_four_bits(Format::fp4, kFp4Values, report);
  test_f16(report);
  test_rows(report);
}

}  // namespace lowrank::test
