// LLM.int8's kernels on their own: activations' codes, panels of the weight's codes, and products, which are exact.
#include <cmath>
#include <cstring>

#include "guarded.h"
#include "modes.h"
#include "random.h"

namespace lowrank::test {

namespace {

using cpu::kCodeStep;
using cpu::kPanelCols;

// Where the code of column c and row p of the contraction lies in a panel.
int64_t place(int64_t p, int64_t c) { return p / 64 * 2048 + c / 16 * 1024 + p % 64 / 4 * 64 + c % 16 * 4 + p % 4; }

int code_at(const cpu::Int8Kernels& k, const void* codes, int64_t i) {
  return (k.code_bytes == 2 ? int(static_cast<const int16_t*>(codes)[i]) : k.shift ? int(static_cast<const uint8_t*>(codes)[i]) : int(static_cast<const int8_t*>(codes)[i])) - k.shift;
}

std::string check_codes(const cpu::Int8Kernels& k, int64_t n, DType t, Random& r) {
  const int64_t padded = cpu::round_up(n, kCodeStep);
  std::vector<float> values = r.values(n, t, 3);
  Guarded x(dtype_bytes(t), 1, n, n, r.pick({0, 4})), codes(k.code_bytes, 1, padded, padded, 0);
  float largest = 0;
  for (int64_t i = 0; i < n; i++) {
    store_f32(x.data(), t, i, values[size_t(i)]);
    largest = std::max(largest, std::fabs(f16_to_f32(f32_to_f16(values[size_t(i)]))));
  }
  const float factor = int8_factor(largest);
  k.codes(x.data(), n, t, factor, codes.data());
  for (int64_t i = 0; i < padded; i++) {
    const int expected = i < n ? int(std::nearbyint(f16_to_f32(f32_to_f16(values[size_t(i)])) * factor)) : 0, found = code_at(k, codes.data(), i);
    if (expected != found) return "code " + std::to_string(i) + ": expected " + std::to_string(expected) + ", found " + std::to_string(found);
  }
  return codes.damage();
}

// by_rows: the contraction goes along the source's rows.
std::string check_packing(const cpu::Kernels& k, int64_t length, int64_t columns, bool by_rows, Random& r) {
  const int64_t rows = by_rows ? length : columns, cols = by_rows ? columns : length, ld = cols + r.pick({0, 1, 5, 64}), size = cpu::panel_bytes_int8(length);
  Guarded source(1, rows, cols, ld, r.pick({0, 1, 3})), panel(1, 1, size, size, 0), sums(4, 1, kPanelCols, kPanelCols, 0);
  int8_t* const codes = static_cast<int8_t*>(source.data());
  const auto code = [&](int64_t c, int64_t p) -> int8_t& { return codes[by_rows ? p * ld + c : c * ld + p]; };
  for (int64_t c = 0; c < columns; c++) {
    for (int64_t p = 0; p < length; p++) code(c, p) = int8_t(r.next());
  }
  (by_rows ? k.pack_codes_rows : k.pack_codes)(codes, ld, length, columns, static_cast<int8_t*>(panel.data()), static_cast<int32_t*>(sums.data()));
  for (int64_t c = 0; c < kPanelCols; c++) {
    int32_t sum = 0;
    for (int64_t p = 0; p < cpu::round_up(length, kCodeStep); p++) {
      const int expected = c < columns && p < length ? code(c, p) : 0, found = static_cast<const int8_t*>(panel.data())[place(p, c)];
      if (expected != found) return "k=" + std::to_string(p) + " column=" + std::to_string(c) + ": expected " + std::to_string(expected) + ", found " + std::to_string(found);
      sum += expected;
    }
    if (static_cast<const int32_t*>(sums.data())[c] != sum) return "the sum of column " + std::to_string(c);
  }
  return panel.damage() + sums.damage();
}

struct Shape {
  int64_t rows, k, panels;
  bool accumulate, extreme;  // extreme: every code of a row, and of a column, is the largest or the smallest
};

std::string check_product(const cpu::Int8Kernels& k, const Shape& s, Random& r) {
  const int64_t columns = s.panels * kPanelCols, gap = 128 + r.pick({0, 64}), stride = s.k * kPanelCols + gap, ldacc = columns + r.pick({0, 1, 32}),
                ld = s.k + r.pick({0, 64});
  Guarded codes(k.code_bytes, s.rows, s.k, ld, 0), panels(1, s.panels, s.k * kPanelCols, stride, 0), acc(4, s.rows, columns, ldacc, 0);
  std::vector<int> a(size_t(s.rows * s.k)), b(size_t(columns * s.k)), before(size_t(s.rows * columns));
  for (int64_t m = 0; m < s.rows; m++) {
    const int sign = r.coin() ? 127 : -127;
    for (int64_t p = 0; p < s.k; p++) {
      const int code = s.extreme ? sign : int(r.below(255)) - 127, stored = code + k.shift;
      a[size_t(m * s.k + p)] = code;
      std::memcpy(static_cast<char*>(codes.data()) + (m * ld + p) * k.code_bytes, &stored, size_t(k.code_bytes));
    }
  }
  // Column sums lie panel_stride bytes apart, as they do behind each panel.
  std::vector<int32_t> sums(size_t(s.panels * stride / 4));
  for (int64_t c = 0; c < columns; c++) {
    const int sign = r.coin() ? 127 : -128;
    for (int64_t p = 0; p < s.k; p++) {
      const int code = s.extreme ? sign : int(int8_t(r.next()));
      b[size_t(c * s.k + p)] = code;
      static_cast<int8_t*>(panels.data())[c / kPanelCols * stride + place(p, c % kPanelCols)] = int8_t(code);
      sums[size_t(c / kPanelCols * stride / 4 + c % kPanelCols)] += code;
    }
  }
  int32_t* const out = static_cast<int32_t*>(acc.data());
  for (int64_t m = 0; s.accumulate && m < s.rows; m++) {
    for (int64_t c = 0; c < columns; c++) out[m * ldacc + c] = before[size_t(m * columns + c)] = int(r.below(2000)) - 1000;
  }
  // A stretch that goes on: the sums that it continues have begun without the excess of all stretches.
  if (s.accumulate && k.shift) {
    for (int64_t m = 0; m < s.rows; m++) {
      for (int64_t c = 0; c < columns; c++) out[m * ldacc + c] -= k.shift * sums[size_t(c / kPanelCols * stride / 4 + c % kPanelCols)];
    }
  }
  if (k.begin) k.begin();
  k.product(codes.data(), ld * k.code_bytes, static_cast<const int8_t*>(panels.data()), stride, sums.data(), s.panels, s.k, s.rows, s.accumulate, out, ldacc);
  if (k.end) k.end();
  for (int64_t m = 0; m < s.rows; m++) {
    for (int64_t c = 0; c < columns; c++) {
      int64_t sum = before[size_t(m * columns + c)];
      for (int64_t p = 0; p < s.k; p++) sum += a[size_t(m * s.k + p)] * b[size_t(c * s.k + p)];
      if (out[m * ldacc + c] != sum) {
        return "acc[" + std::to_string(m) + "," + std::to_string(c) + "]: expected " + std::to_string(sum) + ", found " + std::to_string(out[m * ldacc + c]);
      }
    }
  }
  return acc.damage();
}

}  // namespace

void test_int8_kernels(const cpu::InstructionSet& isa, Report& report) {
  Random r(13);
  const std::string label = "twin [" + std::string(isa.name) + "] ";
  for (const int64_t k : {1, 3, 4, 15, 16, 17, 63, 64, 65, 127, 129, 583}) {
    for (const int64_t columns : {1, 2, 15, 16, 17, 31, 32}) {
      for (const bool by_rows : {false, true}) {
        const std::string wrong = check_packing(*isa.kernels, k, columns, by_rows, r);
        report.expect(wrong.empty(), label + "pack codes" + (by_rows ? " along rows" : "") + " k=" + std::to_string(k) + " columns=" + std::to_string(columns), wrong);
      }
    }
  }
  // The fastest that goes with the set here, and those that every machine with the set has.
  std::vector<const cpu::Int8Kernels*> tables = {isa.int8};
  if (&cpu::int8_kernels(isa) != isa.int8) tables.push_back(&cpu::int8_kernels(isa));
  for (const cpu::Int8Kernels* k : tables) {
    const std::string what = label + k->name + ": ";
    for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 583}) {
        const std::string wrong = check_codes(*k, n, t, r);
        report.expect(wrong.empty(), what + "codes of " + dtype_name(t) + " n=" + std::to_string(n), wrong);
      }
    }
    const auto product = [&](const Shape& s) {
      const std::string wrong = check_product(*k, s, r);
      report.expect(wrong.empty(), what + "product rows=" + std::to_string(s.rows) + " k=" + std::to_string(s.k) + " panels=" + std::to_string(s.panels) +
                                       (s.accumulate ? " accumulate" : "") + (s.extreme ? " extreme" : ""), wrong);
    };
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 49}) {
      for (const int64_t steps : {1, 2, 9}) {
        for (const bool accumulate : {false, true}) product({rows, steps * kCodeStep, r.pick({1, 2, 3}), accumulate, r.coin()});
      }
    }
    product({2, cpu::kLongestCodes, 1, false, true});
  }
}

}  // namespace lowrank::test
