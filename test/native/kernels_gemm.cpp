// The micro-kernels of products against double, and real against emulated ones bit for bit.
#include <cmath>
#include <cstring>

#include "bounds.h"
#include "guarded.h"
#include "modes.h"
#include "random.h"

namespace lowrank::test {

namespace {

using cpu::kPanelCols;
using cpu::kPanelStep;

struct Shape {
  int64_t rows, k, lda, ldacc;
  bool bf16, accumulate;
  int64_t panels = 1, panel_gap = 0;  // side by side, and elements between them
  int64_t columns() const { return panels * kPanelCols; }
  int64_t panel_stride() const { return k * kPanelCols + panel_gap; }
  std::string name() const {
    return std::string(bf16 ? "gemm_bf16" : "gemm_f32") + " rows=" + std::to_string(rows) + " k=" + std::to_string(k) +
           " lda=" + std::to_string(lda) + " ldacc=" + std::to_string(ldacc) + " panels=" + std::to_string(panels) + (accumulate ? " accumulate" : "");
  }
};

// Operands of one product: a (rows, k), b (k, columns) as values, the panels made of b, acc before.
struct Product {
  Guarded a, panel, acc;
  std::vector<float> a_values, b_values, before;

  Product(const Shape& s, Random& r) {
    const DType t = s.bf16 ? DType::bf16 : DType::f32;
    a_values = r.values(s.rows * s.k, t);
    b_values = r.values(s.k * s.columns(), t);
    before = r.values(s.rows * s.columns(), DType::f32);
    a = Guarded(dtype_bytes(t), s.rows, s.k, s.lda, dtype_bytes(t) * 2);
    panel = Guarded(dtype_bytes(t), s.panels, s.k * kPanelCols, s.panel_stride(), 0);
    acc = Guarded(4, s.rows, s.columns(), s.ldacc, 0);
    for (int64_t m = 0; m < s.rows; m++) {
      for (int64_t p = 0; p < s.k; p++) store_f32(a.data(), t, m * s.lda + p, a_values[size_t(m * s.k + p)]);
      if (s.accumulate)
        std::memcpy(static_cast<float*>(acc.data()) + m * s.ldacc, before.data() + m * s.columns(), size_t(s.columns() * 4));
    }
    for (int64_t p = 0; p < s.k; p++) {
      for (int64_t n = 0; n < s.columns(); n++) {
        const int64_t c = n % kPanelCols;
        const int64_t at = s.bf16 ? p / 32 * 1024 + c / 16 * 512 + p % 32 / 2 * 32 + c % 16 * 2 + p % 2 : p * kPanelCols + c;
        store_f32(panel.data(), t, n / kPanelCols * s.panel_stride() + at, b_values[size_t(p * s.columns() + n)]);
      }
    }
  }

  void run(const cpu::Kernels& k, const Shape& s) {
    float* const out = static_cast<float*>(acc.data());
    if (!s.bf16) {
      k.gemm_f32(static_cast<const float*>(a.data()), s.lda, static_cast<const float*>(panel.data()), s.k, s.rows,
                 s.accumulate, out, s.ldacc);
      return;
    }
    if (k.begin) k.begin();
    k.gemm_bf16(static_cast<const bf16_t*>(a.data()), s.lda, static_cast<const bf16_t*>(panel.data()), s.panel_stride(), s.panels,
                s.k, s.rows, s.accumulate, out, s.ldacc);
    if (k.end) k.end();
  }
};

std::string check(const cpu::Kernels& k, const Shape& s, Random& r) {
  Product x(s, r);
  x.run(k, s);
  for (int64_t m = 0; m < s.rows; m++) {
    for (int64_t c = 0; c < s.columns(); c++) {
      double sum = s.accumulate ? double(x.before[size_t(m * s.columns() + c)]) : 0, terms = std::fabs(sum);
      for (int64_t p = 0; p < s.k; p++) {
        const double t = double(x.a_values[size_t(m * s.k + p)]) * double(x.b_values[size_t(p * s.columns() + c)]);
        sum += t;
        terms += std::fabs(t);
      }
      const double found = double(static_cast<const float*>(x.acc.data())[m * s.ldacc + c]),
                   bound = sum_error(s.k) * terms + kTiny;
      if (std::fabs(found - sum) <= bound) continue;
      return "acc[" + std::to_string(m) + "," + std::to_string(c) + "]: expected " + std::to_string(sum) + ", found " +
             std::to_string(found) + ", bound " + std::to_string(bound);
    }
  }
  return x.acc.damage();
}

// Few rows; dots: rows of bf16, as gemv_bf16 takes them.
std::string check_gemv(const cpu::Kernels& k, int64_t rows, int64_t length, int64_t outputs, DType t, bool dots, Random& r) {
  const DType act = dots ? DType::bf16 : DType::f32;
  const int64_t ldx = length + r.pick({0, 3}), ldw = length + r.pick({0, 1, 7}), ldy = outputs + r.pick({0, 2});
  const auto xv = r.values(rows * length, act), wv = r.values(outputs * length, t);
  Guarded x(dtype_bytes(act), rows, length, ldx, dtype_bytes(act)), w(dtype_bytes(t), outputs, length, ldw, r.pick({0, 1, 3})),
      y(4, rows, outputs, ldy, 0);
  const auto put = [&](Guarded& to, DType as, int64_t ld, const std::vector<float>& values) {
    for (int64_t i = 0; i < int64_t(values.size()); i++) {
      char value[4];
      store_f32(value, as, 0, values[size_t(i)]);
      std::memcpy(static_cast<char*>(to.data()) + (i / length * ld + i % length) * dtype_bytes(as), value, size_t(dtype_bytes(as)));
    }
  };
  put(x, act, ldx, xv);
  put(w, t, ldw, wv);
  std::vector<char> later(size_t(r.pick({0, 1, 4000})));
  const cpu::Coming coming{later.data(), later.data() + later.size(), r.pick({1, 64, 900})};
  const auto product = [&](int64_t row, int64_t count, float* to, int64_t ld) {
    const char* const from = static_cast<const char*>(x.data()) + row * ldx * dtype_bytes(act);
    if (dots) {
      const Weight weight{.data = w.data(), .format = format_of(t), .rows = outputs, .cols = ldw};
      k.gemv_bf16(reinterpret_cast<const bf16_t*>(from), ldx, count, weight, 0, outputs, 0, length, to, ld, coming);
    } else {
      k.gemv(reinterpret_cast<const float*>(from), ldx, count, w.data(), t, ldw, length, outputs, to, ld, coming);
    }
  };
  product(0, rows, static_cast<float*>(y.data()), ldy);
  for (int64_t m = 0; m < rows; m++) {
    for (int64_t o = 0; o < outputs; o++) {
      double sum = 0, terms = 0;
      for (int64_t i = 0; i < length; i++) {
        const float weight = wv[size_t(o * length + i)];
        const double p = double(xv[size_t(m * length + i)]) * double(dots ? bf16_to_f32(f32_to_bf16(weight)) : weight);
        sum += p;
        terms += std::fabs(p);
      }
      const double found = double(static_cast<const float*>(y.data())[m * ldy + o]);
      if (!(std::fabs(found - sum) <= sum_error(length) * terms + kTiny)) {
        return "y[" + std::to_string(m) + "," + std::to_string(o) + "]: expected " + std::to_string(sum) + ", found " +
               std::to_string(found);
      }
    }
  }
  // A row that goes alone.
  std::vector<float> alone(static_cast<size_t>(outputs));
  for (int64_t m = 0; m < rows; m++) {
    product(m, 1, alone.data(), outputs);
    if (std::memcmp(alone.data(), static_cast<const float*>(y.data()) + m * ldy, size_t(outputs * 4)) != 0) {
      return "row " + std::to_string(m) + " has other bits alone";
    }
  }
  return y.damage();
}

}  // namespace

void test_products(const cpu::InstructionSet& isa, const Options& o, Report& report) {
  Random r(12);
  const std::string label = "twin [" + std::string(isa.name) + "] ";
  for (const bool bf16 : {false, true}) {
    if (bf16 && !isa.kernels->gemm_bf16) continue;
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 15, 16, 17, 23, 24, 31, 32, 33, 47, 48, 63, 64, 65, 97}) {
      for (const int64_t k : {1, 2, 3, 31, 32, 33, 64, 577, 583, 705}) {
        if (o.quick && k > 577) continue;
        for (const bool accumulate : {false, true}) {
          Shape s{rows, bf16 ? cpu::round_up(k, kPanelStep) : k, 0, 0, bf16, accumulate};
          s.lda = s.k + r.pick({0, 1, 2, 64});
          if (bf16) s.panels = r.pick({1, 2, 3});
          s.panel_gap = s.panels > 1 ? r.pick({0, 32}) : 0;
          s.ldacc = s.columns() + r.pick({0, 1, 160});
          const std::string wrong = check(*isa.kernels, s, r);
          report.expect(wrong.empty(), label + s.name(), wrong);
        }
      }
    }
  }
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 16, 19}) {
      for (const int64_t length : {1, 2, 3, 7, 8, 9, 15, 16, 17, 25, 31, 32, 33, 63, 65, 577, 583}) {
        for (const bool dots : {false, true}) {
          if (dots && !isa.kernels->gemv_bf16) continue;
          const int64_t outputs = r.pick({1, 2, 5, 17, 33});
          const std::string wrong = check_gemv(*isa.kernels, rows, length, outputs, t, dots, r);
          report.expect(wrong.empty(),
                        label + (dots ? "gemv_bf16 " : "gemv ") + dtype_name(t) + " rows=" + std::to_string(rows) + " k=" + std::to_string(length),
                        wrong);
        }
      }
    }
  }
}

void test_same_bits(const cpu::InstructionSet& real, const cpu::InstructionSet& emulated, Report& report) {
  for (const int64_t rows : {1, 5, 12, 16, 17, 31, 32, 33, 64, 97}) {
    for (const int64_t k : {32, 64, 96, 576, 704}) {
      for (const bool accumulate : {false, true}) {
        const Shape s{rows, k, k + 2, 2 * kPanelCols, true, accumulate, 2};
        // The same operands twice; one in eight elements is tiny, so that subnormals are flushed alike.
        const auto product = [&] {
          Random r{uint64_t(rows * 1000 + k)};
          Product x(s, r);
          for (int64_t m = 0; m < s.rows; m++) {
            for (int64_t p = 0; p < s.k; p += 8) static_cast<bf16_t*>(x.a.data())[m * s.lda + p] = bf16_t(r.below(0x100));
          }
          return x;
        };
        Product one = product(), other = product();
        one.run(*real.kernels, s);
        other.run(*emulated.kernels, s);
        const bool same = std::memcmp(one.acc.data(), other.acc.data(), size_t(s.rows * s.columns() * 4)) == 0;
        report.expect(same, "bits [" + std::string(real.name) + " and " + emulated.name + "] " + s.name(),
                      "real and emulated results differ");
      }
    }
  }
  for (const int64_t rows : {1, 3, 8}) {
    for (const int64_t k : {1, 32, 33, 95, 96, 576}) {
      if (!real.kernels->gemv_bf16) continue;
      Random r{uint64_t(rows * 1000 + k)};
      constexpr int64_t kOutputs = 19;
      std::vector<bf16_t> x, w;
      for (int64_t i = 0; i < rows * k; i++) x.push_back(i % 8 == 0 ? bf16_t(r.below(0x100)) : f32_to_bf16(r.symmetric()));
      for (int64_t i = 0; i < kOutputs * k; i++) w.push_back(f32_to_bf16(r.symmetric()));
      const Weight weight{.data = w.data(), .format = Format::bf16, .rows = kOutputs, .cols = k};
      std::vector<float> one(size_t(rows * kOutputs)), other = one;
      real.kernels->gemv_bf16(x.data(), k, rows, weight, 0, kOutputs, 0, k, one.data(), kOutputs, {});
      emulated.kernels->gemv_bf16(x.data(), k, rows, weight, 0, kOutputs, 0, k, other.data(), kOutputs, {});
      report.expect(std::memcmp(one.data(), other.data(), one.size() * 4) == 0,
                    "bits [" + std::string(real.name) + " and " + emulated.name + "] gemv_bf16 rows=" + std::to_string(rows) + " k=" + std::to_string(k),
                    "real and emulated results differ");
    }
  }
}

}  // namespace lowrank::test
