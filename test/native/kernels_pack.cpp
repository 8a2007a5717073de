// Packing, element by element against the layouts in cpu/kernels.h. It is exact: every element is a conversion.
#include <bit>

#include "guarded.h"
#include "modes.h"
#include "random.h"

namespace lowrank::test {

namespace {

using cpu::kPanelCols;
using cpu::kPanelStep;

struct Source {
  DType dtype;
  int64_t k, columns, ld, offset;
  bool backward;
};

constexpr int64_t kGap = 64;  // elements between two panels that must stay as they are
int64_t panels_of(const Source& s) { return (s.columns + kPanelCols - 1) / kPanelCols; }

float element(const Source& s, const Guarded& memory, int64_t p, int64_t column) {
  const int64_t at = s.backward ? p * s.ld + column : column * s.ld + p;
  Weight w;
  w.data = memory.data();
  w.format = format_of(s.dtype);
  w.rows = 1;
  w.cols = at + 1;
  return w.get(0, at);
}

Guarded filled(const Source& s, Random& r) {
  Guarded memory(dtype_bytes(s.dtype), s.backward ? s.k : s.columns, s.backward ? s.columns : s.k, s.ld, s.offset);
  for (int64_t p = 0; p < s.k; p++) {
    for (int64_t c = 0; c < s.columns; c++) {
      char value[4];
      store_f32(value, s.dtype, 0, r.symmetric());
      const int64_t at = s.backward ? p * s.ld + c : c * s.ld + p;
      std::memcpy(static_cast<char*>(memory.data()) + at * dtype_bytes(s.dtype), value, size_t(dtype_bytes(s.dtype)));
    }
  }
  return memory;
}

std::string wrong_at(int64_t p, int64_t c, float expected, float found) {
  return "k=" + std::to_string(p) + " column=" + std::to_string(c) + ": expected " + std::to_string(expected) + ", found " +
         std::to_string(found);
}

std::string check_f32(const cpu::Kernels& k, const Source& s, const Guarded& memory) {
  const int64_t size = s.k * kPanelCols;
  Guarded panels(4, panels_of(s), size, size + kGap, 0);
  float* const out = static_cast<float*>(panels.data());
  if (s.backward) k.pack_bwd_f32(memory.data(), s.dtype, s.ld, s.k, s.columns, out, size + kGap);
  else k.pack_fwd_f32(memory.data(), s.dtype, s.ld, s.k, s.columns, out);
  for (int64_t p = 0; p < s.k; p++) {
    for (int64_t c = 0; c < panels_of(s) * kPanelCols; c++) {
      const float expected = c < s.columns ? element(s, memory, p, c) : 0.f;
      const float found = out[c / kPanelCols * (size + kGap) + p * kPanelCols + c % kPanelCols];
      if (std::bit_cast<uint32_t>(expected) != std::bit_cast<uint32_t>(found)) return wrong_at(p, c, expected, found);
    }
  }
  return panels.damage();
}

std::string check_bf16(const cpu::Kernels& k, const Source& s, const Guarded& memory) {
  const int64_t steps = (s.k + kPanelStep - 1) / kPanelStep;
  const int64_t size = steps * kPanelStep * kPanelCols;
  Guarded panels(2, panels_of(s), size, size + kGap, 0);
  bf16_t* const out = static_cast<bf16_t*>(panels.data());
  if (s.backward) k.pack_bwd_bf16(memory.data(), s.dtype, s.ld, s.k, s.columns, out, size + kGap);
  else k.pack_fwd_bf16(memory.data(), s.dtype, s.ld, s.k, s.columns, out);
  for (int64_t p = 0; p < steps * kPanelStep; p++) {
    for (int64_t column = 0; column < panels_of(s) * kPanelCols; column++) {
      const int64_t c = column % kPanelCols;
      const bf16_t expected = p < s.k && column < s.columns ? f32_to_bf16(element(s, memory, p, column)) : bf16_t(0);
      // [step][half of 16 columns][16 pairs of k][16 columns][2]
      const bf16_t found = out[column / kPanelCols * (size + kGap) + p / 32 * 1024 + c / 16 * 512 + p % 32 / 2 * 32 + c % 16 * 2 + p % 2];
      if (expected != found) return wrong_at(p, column, bf16_to_f32(expected), bf16_to_f32(found));
    }
  }
  return panels.damage();
}

}  // namespace

void test_packing(const cpu::InstructionSet& isa, Report& report) {
  Random r(11);
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    for (const bool backward : {false, true}) {
      for (const int64_t k : {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 97}) {
        for (const int64_t columns : {1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 64, 79}) {
          if (columns > kPanelCols && !backward) continue;
          const int64_t width = backward ? columns : k;
          const Source s{t, k, columns, width + r.pick({0, 1, 5, 64}), r.pick({0, 1, 2, 3, 7}), backward};
          const Guarded memory = filled(s, r);
          const std::string what = std::string("pack ") + (backward ? "bwd " : "fwd ") + dtype_name(t) +
                                   " k=" + std::to_string(k) + " columns=" + std::to_string(columns) +
                                   " ld=" + std::to_string(s.ld) + " byte=" + std::to_string(s.offset);
          for (const bool to_bf16 : {false, true}) {
            const std::string wrong = to_bf16 ? check_bf16(*isa.kernels, s, memory) : check_f32(*isa.kernels, s, memory);
            report.expect(wrong.empty(), "twin [" + std::string(isa.name) + "] " + what + (to_bf16 ? " to bf16" : " to f32"),
                          wrong);
          }
        }
      }
    }
  }
}

}  // namespace lowrank::test
