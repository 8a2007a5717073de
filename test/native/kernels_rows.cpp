// The row kernels that no operation exposes alone: conversions of every 16-bit pattern, e^x, maxima, sums, masks.
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "bounds.h"
#include "guarded.h"
#include "modes.h"
#include "random.h"

namespace lowrank::test {

namespace {

struct Vector {  // n elements between guards
  Guarded memory;
  DType dtype;
  int64_t n;
  Vector(DType t, const std::vector<float>& values)
      : memory(dtype_bytes(t), 1, int64_t(values.size()), int64_t(values.size()), dtype_bytes(t)),
        dtype(t),
        n(int64_t(values.size())) {
    for (int64_t i = 0; i < n; i++) store_f32(memory.data(), t, i, values[size_t(i)]);
  }
  void* data() const { return memory.data(); }
  float* f32() const { return static_cast<float*>(memory.data()); }
  float get(int64_t i) const { return load_f32(memory.data(), dtype, i); }
};

bool same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}
bool near(double found, double expected, double bound) { return std::fabs(found - expected) <= bound + kTiny; }

// f(n) for lengths around the vectors and around the tile of 1024 of log_sum_exp
template <class F>
void for_lengths(F&& f) {
  for (const int64_t n : kTails) f(n);
  for (const int64_t n : {1023, 1024, 1025, 2500}) f(n);
}

class Checks {
 public:
  Checks(const cpu::InstructionSet& isa, Report& report)
      : k_(*isa.rows), label_("twin [" + std::string(isa.name) + "] row kernel "), report_(report) {}

  void conversions() {
    // All patterns, and off the end of the vectors by three.
    std::vector<uint16_t> patterns(65536 + 3);
    for (size_t i = 0; i < patterns.size(); i++) patterns[i] = uint16_t(i);
    std::vector<float> wide(patterns.size());
    for (const DType t : {DType::bf16, DType::f16}) {
      k_.widen(patterns.data(), t, int64_t(patterns.size()), wide.data());
      bool ok = true;
      for (size_t i = 0; i < patterns.size(); i++) ok = ok && same(wide[i], load_f32(patterns.data(), t, int64_t(i)));
      expect(ok, std::string("widen ") + dtype_name(t));
    }
    // Halves of f32 around each bf16: ties, their neighbours, infinities, NaN.
    for (const uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      for (size_t i = 0; i < patterns.size(); i++) wide[i] = std::bit_cast<float>(uint32_t(patterns[i]) << 16 | low);
      std::vector<bf16_t> narrow(patterns.size());
      k_.narrow(wide.data(), int64_t(wide.size()), DType::bf16, narrow.data());
      bool ok = true;
      for (size_t i = 0; i < patterns.size(); i++) {
        const bool flushed = k_.flushes_bf16 && std::fpclassify(wide[i]) == FP_SUBNORMAL;
        ok = ok && same(bf16_to_f32(narrow[i]), flushed ? std::copysign(0.f, wide[i]) : bf16_to_f32(f32_to_bf16(wide[i])));
      }
      expect(ok, "narrow with low half " + std::to_string(low));
    }
    // f16 has three more digits than bf16, and its subnormal numbers lie among bf16's normal ones.
    for (const uint32_t low : {0u, 1u, 0x0fffu, 0x1000u, 0x1001u, 0x2000u, 0x2fffu, 0x3000u, 0x3001u, 0x8000u, 0xffffu}) {
      for (size_t i = 0; i < patterns.size(); i++) wide[i] = std::bit_cast<float>(uint32_t(patterns[i]) << 16 | low);
      std::vector<f16_t> narrow(patterns.size());
      k_.narrow(wide.data(), int64_t(wide.size()), DType::f16, narrow.data());
      bool ok = true;
      for (size_t i = 0; i < patterns.size(); i++) ok = ok && narrow[i] == f32_to_f16(wide[i]);
      expect(ok, "narrow to f16 with low half " + std::to_string(low));
    }
  }

  void exponential() {
    std::vector<float> x;
    for (int i = 0; i <= 200000; i++) x.push_back(-87.2f + 175.9f * float(i) / 200000.f);
    Vector e(DType::f32, x);
    k_.exp_sum(e.f32(), e.n, 1.f, 0.f);
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++)
      worst = std::max(worst, std::fabs(double(e.get(int64_t(i))) / std::exp(double(x[i])) - 1));
    expect(worst <= kExp, "e^x: relative error " + std::to_string(worst * 0x1p24) + " roundoffs");
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    // At every place of a group of vectors, and of the vectors behind it.
    for (const int64_t before : {0, 1, 15, 16, 40, 61, 64, 100}) {
      std::vector<float> values(size_t(before), -1.f);
      for (const float v : {-inf, -1e30f, -88.f, 0.f, 88.72f, 88.73f, 89.f, 200.f, inf, nan}) values.push_back(v);
      Vector special(DType::f32, values);
      k_.exp_sum(special.f32(), special.n, 1.f, 0.f);
      const auto got = [&](int64_t i) { return special.get(before + i); };
      expect(got(0) == 0 && got(1) == 0 && got(2) == 0 && got(3) == 1 && std::fabs(double(got(4)) / std::exp(double(88.72f)) - 1) <= kExp &&
                 got(5) == inf && got(6) == inf && got(7) == inf && got(8) == inf && std::isnan(got(9)),
             "e^x of infinities and NaN behind " + std::to_string(before));
    }
  }

  // e^(scale x - shift) by powers of two: factor, shift and exponent are rounded, each to a 2^-24th.
  void exponential_to_bf16() {
    bf16_t out[32];
    for (const auto& [scale, shift] : {std::pair{1.f, 0.f}, {0.125f, 3.f}, {0.5f, -40.f}, {3.f, 300.f}}) {
      double worst = 0;
      bool rounded = true;
      for (int i = 0; i <= 20000; i++) {
        const float x = (shift - 87.f + 100.f * float(i) / 20000.f) / scale;
        const float e = k_.exp_sum_bf16(&x, 1, 32, scale, shift, out);  // the sum of one
        const double y = double(x) * double(scale), d = y - double(shift), exact = std::exp(d);
        worst = std::max(worst, std::fabs(double(e) / exact - 1) / (kExp + kF32 * (std::fabs(y) + std::fabs(double(shift)) + std::fabs(d))));
        rounded = rounded && out[0] == f32_to_bf16(e) && std::all_of(out + 1, out + 32, [](bf16_t v) { return v == 0; });
      }
      const std::string label = "e^(scale x - shift) in bf16, scale " + std::to_string(scale) + ": ";
      expect(worst <= 1, label + std::to_string(worst) + " of its bound");
      expect(rounded, label + "rounded once, zeros behind");
    }
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    for (const auto& [x, e] : {std::pair{-inf, 0.f}, {-1e30f, 0.f}, {-88.f, 0.f}, {0.f, 1.f}, {nan, nan}}) {
      expect(same(k_.exp_sum_bf16(&x, 1, 32, 1.f, 0.f, out), e), "e^x in bf16 of " + std::to_string(x));
    }
  }

  void reductions() {
    Random r(21);
    for_lengths([&](int64_t n) {
      const std::string at = " n=" + std::to_string(n);
      const auto v = r.values(n, DType::bf16, 5);
      // The largest element at every place of the last vectors in turn.
      for (int64_t place = std::max<int64_t>(0, n - 20); place < n; place++) {
        auto w = v;
        w[size_t(place)] = 6;
        expect(k_.max(Vector(DType::f32, w).f32(), n) == 6, "max" + at);
      }
      const auto negative = r.values(n, DType::bf16, 1);
      std::vector<float> below(negative);
      for (float& x : below) x -= 3;
      expect(k_.max(Vector(DType::f32, below).f32(), n) == *std::max_element(below.begin(), below.end()),
             "max of negative numbers" + at);

      Vector e(DType::f32, v);
      const float top = *std::max_element(v.begin(), v.end());
      const double sum = double(k_.exp_sum(e.f32(), n, 0.5f, top * 0.5f));
      double expected = 0;
      for (const float x : v) expected += std::exp(0.5 * (double(x) - double(top)));
      expect(near(sum, expected, expected * (sum_error(n) + kExp)) && e.memory.damage().empty(), "exp_sum" + at);

      for (const DType act : kActs) {
        const std::string with = std::string(" ") + dtype_name(act) + at;
        const Vector a(act, v), b(act, r.values(n, DType::bf16, 2));
        double dot = 0, terms = 0, lse = 0;
        for (int64_t i = 0; i < n; i++) {
          dot += double(a.get(i)) * double(b.get(i));
          terms += std::fabs(double(a.get(i)) * double(b.get(i)));
          lse += std::exp(double(a.get(i)) - double(top));
        }
        lse = double(top) + std::log(lse);
        expect(near(double(k_.dot(a.data(), b.data(), n, act)), dot, terms * sum_error(n)), "dot" + with);
        expect(near(k_.log_sum_exp(a.data(), n, act), lse, sum_error(1024) + kExp), "log_sum_exp" + with);

        Vector gradient(act, v);
        k_.softmax_grad(gradient.data(), n, act, float(lse), 0.25f);
        bool ok = gradient.memory.damage().empty();
        for (int64_t i = 0; i < n; i++) {
          const double g = 0.25 * std::exp(double(a.get(i)) - lse);
          ok = ok && near(double(gradient.get(i)), g, g * (kExp + 2 * kF32 * (std::fabs(lse) + 5) + unit(act)) + smallest(act));
        }
        expect(ok, "softmax_grad" + with);

        const auto before = r.values(n, DType::f32);
        Vector out(DType::f32, before);
        k_.add_scaled(a.data(), n, act, -0.75f, out.f32());
        ok = out.memory.damage().empty();
        for (int64_t i = 0; i < n; i++) {
          const double x = double(before[size_t(i)]), y = -0.75 * double(a.get(i));
          ok = ok && near(double(out.get(i)), x + y, 2 * kF32 * (std::fabs(x) + std::fabs(y)));
        }
        expect(ok, "add_scaled" + with);

        constexpr int64_t kRows = 5;
        const int64_t ld = n + r.pick({0, 3}), count = r.pick({1, 2, 3, 4, 5, 9}), ld_factors = kRows + r.pick({0, 2}), ld_out = n + r.pick({0, 1});
        Vector rows(act, r.values((kRows - 1) * ld + n, act)), weighted(DType::f32, r.values((count - 1) * ld_out + n, DType::f32));
        const auto factors = r.values(count * ld_factors, DType::f32);
        k_.weighted_sums(rows.data(), act, ld, kRows, n, factors.data(), ld_factors, count, weighted.f32(), ld_out);
        ok = weighted.memory.damage().empty();
        for (int64_t m = 0; m < count; m++) {
          Vector added(DType::f32, std::vector<float>(size_t(n)));
          for (int64_t j = 0; j < kRows; j++)
            k_.add_scaled(static_cast<const char*>(rows.data()) + j * ld * dtype_bytes(act), n, act, factors[size_t(m * ld_factors + j)], added.f32());
          for (int64_t i = 0; i < n; i++) ok = ok && same(weighted.get(m * ld_out + i), added.get(i));
        }
        expect(ok, "weighted_sums" + with);
      }

      Vector scaled(DType::f32, v);
      k_.scale(scaled.f32(), n, 3.f);
      bool ok = scaled.memory.damage().empty();
      for (int64_t i = 0; i < n; i++) ok = ok && scaled.get(i) == v[size_t(i)] * 3.f;
      expect(ok, "scale" + at);
    });
  }

  void masks() {
    Random r(22);
    for_lengths([&](int64_t n) {
      for (const uint64_t offset : {0, 1, 2, 3, 4, 1022}) {
        for (const uint64_t index : {0, 5, 4096}) {
          const Dropout d{r.pick({0.1f, 0.5f, 0.9f}), r.next(), r.next(), offset};
          const float kept = 1.f / (1.f - d.p);
          const std::string at =
              " n=" + std::to_string(n) + " offset=" + std::to_string(offset) + " index=" + std::to_string(index);
          for (const DType act : kActs) {
            const Vector x(act, r.values(n, act));
            Vector y(act, std::vector<float>(size_t(n), 7.f)), sum(DType::f32, std::vector<float>(size_t(n), 2.f));
            k_.dropout(x.data(), n, act, d, index, y.data());
            k_.add_dropout(x.data(), n, act, d, index, DType::f32, sum.data());
            bool ok = y.memory.damage().empty() && sum.memory.damage().empty();
            for (int64_t i = 0; i < n; i++) {
              const float factor = d.keep(index + uint64_t(i)) ? kept : 0.f, v = x.get(i) * factor;
              char rounded[4];
              store_f32(rounded, act, 0, v);
              ok = ok && y.get(i) == load_f32(rounded, act, 0) &&
                   near(double(sum.get(i)), 2.0 + double(v), 2 * kF32 * (2 + std::fabs(double(v))));
            }
            expect(ok, std::string("dropout ") + dtype_name(act) + at);
          }
        }
      }
    });
  }

 private:
  void expect(bool ok, const std::string& what) { report_.expect(ok, label_ + what); }

  const cpu::RowKernels& k_;
  std::string label_;
  Report& report_;
};

}  // namespace

void test_row_kernels(const cpu::InstructionSet& isa, Report& report) {
  Checks checks(isa, report);
  checks.conversions();
  checks.exponential();
  checks.exponential_to_bf16();
  checks.reductions();
  checks.masks();
}

}  // namespace lowrank::test
