// Half-precision multiply-adds: packing element by element, and products bit for bit against chains in integers.
#include <bit>
#include <cmath>
#include <cstring>

#include "guarded.h"
#include "modes.h"
#include "random.h"

namespace lowrank::test {

namespace {

using cpu::kF16PanelScales;
using cpu::kPanelCols;
using cpu::kPanelStep;

int64_t place(int64_t k, int64_t column) {
  return kF16PanelScales + k / 32 * 1024 + column / 16 * 512 + k % 32 / 2 * 32 + column % 16 * 2 + k % 2;
}

// A finite f16 in units of 2^-24.
int64_t units(f16_t h) {
  const int64_t exponent = h >> 10 & 31, fraction = h & 1023;
  const int64_t magnitude = exponent == 0 ? fraction : (1024 + fraction) << (exponent - 1);
  return h & 0x8000 ? -magnitude : magnitude;
}

// a b + c, rounded once to f16, in units of 2^-24; none of the tests comes near the largest number.
int64_t fma_units(int64_t a, int64_t b, int64_t c) {
  const __int128 exact = __int128(a) * b + (__int128(c) << 24);  // in units of 2^-48
  const unsigned __int128 magnitude = static_cast<unsigned __int128>(exact < 0 ? -exact : exact);
  int bits = 0;
  while (magnitude >> bits) bits++;
  const int dropped = std::max(24, bits - 11);
  const unsigned __int128 half = static_cast<unsigned __int128>(1) << (dropped - 1), rest = magnitude & (2 * half - 1);
  unsigned __int128 kept = magnitude >> dropped;
  if (rest > half || (rest == half && (kept & 1))) kept++;
  const int64_t rounded = int64_t(kept << (dropped - 24));
  return exact < 0 ? -rounded : rounded;
}

// Finite, with subnormal numbers, below 2^power, and often a tie's worth apart.
f16_t random_f16(Random& r, int power) {
  const int64_t exponent = r.coin() ? r.below(15 + power) : std::max<int64_t>(0, 14 + power - r.below(6));
  const int64_t fraction = r.pick({r.below(1024), int64_t(0), int64_t(512), r.below(4) * 256});
  return f16_t(r.below(2) << 15 | exponent << 10 | fraction);
}

std::string check_product(const cpu::Kernels& k, int64_t rows, int64_t depth, int64_t panels, bool accumulate, Random& r) {
  const int64_t lda = depth + r.pick({0, 2, 32}), stride = kF16PanelScales + depth * kPanelCols + r.pick({0, 64}), columns = panels * kPanelCols,
                ldacc = columns + r.pick({0, 1, 160});
  Guarded a(2, rows, depth, lda, 0), panel(2, panels, kF16PanelScales + depth * kPanelCols, stride, 0), acc(4, rows, columns, ldacc, 0);
  std::vector<float> row_scales, before = r.values(rows * columns, DType::f32);
  f16_t *const av = static_cast<f16_t*>(a.data()), *const pv = static_cast<f16_t*>(panel.data());
  float* const out = static_cast<float*>(acc.data());
  for (int64_t m = 0; m < rows; m++) {
    row_scales.push_back(std::ldexp(1.f, int(r.below(40)) - 20));
    for (int64_t p = 0; p < depth; p++) av[m * lda + p] = random_f16(r, 6);
    for (int64_t c = 0; accumulate && c < columns; c++) out[m * ldacc + c] = before[size_t(m * columns + c)];
  }
  const auto column_scale = [&](int64_t c) { return std::ldexp(1.f, int(c * 7 % 31) - 15); };
  for (int64_t c = 0; c < columns; c++) {
    f16_t* const to = pv + c / kPanelCols * stride;
    const float scale = column_scale(c);
    std::memcpy(to + c % kPanelCols * 2, &scale, 4);
    for (int64_t p = 0; p < depth; p++) to[place(p, c % kPanelCols)] = random_f16(r, 5);
  }
  k.gemm_f16(av, lda, row_scales.data(), pv, stride, panels, depth, rows, accumulate, out, ldacc);
  for (int64_t m = 0; m < rows; m++) {
    for (int64_t c = 0; c < columns; c++) {
      float sum = 0;
      for (int64_t p0 = 0; p0 < depth; p0 += kPanelStep) {
        for (int64_t odd = 0; odd < 2; odd++) {
          int64_t chain = 0;
          for (int64_t p = p0 + odd; p < p0 + kPanelStep; p += 2) {
            chain = fma_units(units(av[m * lda + p]), units(pv[c / kPanelCols * stride + place(p, c % kPanelCols)]), chain);
          }
          sum += std::ldexp(float(chain), -24);
        }
      }
      float expected = sum * row_scales[size_t(m)] * column_scale(c);
      if (accumulate) expected += before[size_t(m * columns + c)];
      const float found = out[m * ldacc + c];
      if (expected == found) continue;
      return "acc[" + std::to_string(m) + "," + std::to_string(c) + "]: expected " + std::to_string(expected) + ", found " + std::to_string(found);
    }
  }
  return acc.damage();
}

// What the largest of some numbers makes of them: below 2^power.
float scale_for(const std::vector<float>& values, int power) {
  float most = 0;
  for (const float v : values) most = std::max(most, std::fabs(v));
  constexpr int kLeast = 8 - 126;
  int exponent = kLeast;
  if (most > 0) std::frexp(most, &exponent);
  return std::ldexp(1.f, power - std::max(exponent, kLeast));
}

std::string wrong_at(int64_t row, int64_t i, f16_t expected, f16_t found) {
  return "row " + std::to_string(row) + ", " + std::to_string(i) + ": expected " + std::to_string(f16_to_f32(expected)) + ", found " + std::to_string(f16_to_f32(found));
}

// Numbers of very different sizes, of one row also zeros, of one tiny ones.
std::vector<float> wild(int64_t row, int64_t n, DType t, Random& r) {
  std::vector<float> values;
  for (int64_t i = 0; i < n; i++) {
    char stored[4];
    store_f32(stored, t, 0, row % 5 == 1 ? 0 : r.symmetric() * std::ldexp(1.f, row % 5 == 2 ? -130 : int(r.below(24)) - 12));
    values.push_back(load_f32(stored, t, 0));
  }
  return values;
}

std::string check_rows(const cpu::Kernels& kernels, DType t, int64_t rows, int64_t k, Random& r) {
  const int64_t lda = k + r.pick({0, 1, 7}), padded = cpu::round_up(k, kPanelStep), ld = padded + r.pick({0, 32});
  Guarded a(2, rows, k, lda, r.pick({0, 2})), out(2, rows, padded, ld, 0), scales(4, 1, rows, rows, 0);
  std::vector<std::vector<float>> values;
  for (int64_t m = 0; m < rows; m++) {
    values.push_back(wild(m, k, t, r));
    for (int64_t i = 0; i < k; i++) store_f32(static_cast<char*>(a.data()) + (m * lda + i) * 2, t, 0, values.back()[size_t(i)]);
  }
  f16_t* const to = static_cast<f16_t*>(out.data());
  float* const found = static_cast<float*>(scales.data());
  kernels.scale_rows_f16(a.data(), t, lda, k, rows, to, ld, found);
  for (int64_t m = 0; m < rows; m++) {
    const float scale = scale_for(values[size_t(m)], 6);
    if (found[m] != 1 / scale) return "row " + std::to_string(m) + ": its scale is undone by " + std::to_string(found[m]);
    for (int64_t i = 0; i < padded; i++) {
      const f16_t expected = i < k ? f32_to_f16(values[size_t(m)][size_t(i)] * scale) : f16_t(0);
      if (to[m * ld + i] != expected) return wrong_at(m, i, expected, to[m * ld + i]);
    }
  }
  const std::string damage = out.damage() + scales.damage();
  // An infinite number, and one that is none.
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    store_f32(static_cast<char*>(a.data()) + (k - 1) * 2, t, 0, bad);
    kernels.scale_rows_f16(a.data(), t, lda, k, 1, to, ld, found);
    if (!std::isnan(found[0])) return "a row that is not finite has a scale";
  }
  return damage;
}

std::string check_panel(const cpu::Kernels& kernels, int64_t k, Random& r) {
  const int64_t size = kF16PanelScales + cpu::round_up(k, kPanelStep) * kPanelCols;
  Guarded from(4, k, kPanelCols, kPanelCols, 0), panel(2, 1, size, size, 0);
  std::vector<std::vector<float>> columns;
  for (int64_t c = 0; c < kPanelCols; c++) {
    columns.push_back(wild(c, k, DType::f32, r));
    for (int64_t i = 0; i < k; i++) static_cast<float*>(from.data())[i * kPanelCols + c] = columns.back()[size_t(i)];
  }
  f16_t* const to = static_cast<f16_t*>(panel.data());
  kernels.pack_f16(static_cast<const float*>(from.data()), k, to);
  for (int64_t c = 0; c < kPanelCols; c++) {
    const float scale = scale_for(columns[size_t(c)], 5);
    float found;
    std::memcpy(&found, to + 2 * c, 4);
    if (found != 1 / scale) return "column " + std::to_string(c) + ": its scale is undone by " + std::to_string(found);
    for (int64_t i = 0; i < cpu::round_up(k, kPanelStep); i++) {
      const f16_t expected = i < k ? f32_to_f16(columns[size_t(c)][size_t(i)] * scale) : f16_t(0);
      if (to[place(i, c)] != expected) return wrong_at(c, i, expected, to[place(i, c)]);
    }
  }
  return panel.damage();
}

}  // namespace

void test_f16_kernels(const cpu::InstructionSet& isa, Report& report) {
  if (!isa.kernels->gemm_f16) return;
  Random r(13);
  const std::string label = "twin [" + std::string(isa.name) + "] ";
  for (const int64_t rows : {1, 2, 5, 11, 12, 13, 24, 31}) {
    for (const int64_t k : {32, 64, 96, 320}) {
      for (const bool accumulate : {false, true}) {
        const int64_t panels = r.pick({1, 2, 3});
        const std::string wrong = check_product(*isa.kernels, rows, k, panels, accumulate, r);
        report.expect(wrong.empty(), label + "gemm_f16 rows=" + std::to_string(rows) + " k=" + std::to_string(k) + " panels=" + std::to_string(panels), wrong);
      }
    }
  }
  for (const int64_t k : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 97}) {
    for (const DType t : {DType::bf16, DType::f16}) {
      const std::string wrong = check_rows(*isa.kernels, t, 7, k, r);
      report.expect(wrong.empty(), label + "scale_rows_f16 " + dtype_name(t) + " k=" + std::to_string(k), wrong);
    }
    const std::string wrong = check_panel(*isa.kernels, k, r);
    report.expect(wrong.empty(), label + "pack_f16 k=" + std::to_string(k), wrong);
  }
}

}  // namespace lowrank::test
