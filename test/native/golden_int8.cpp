// LLM.int8's linears against bitsandbytes' own, forward and backward.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "bounds.h"
#include "chains.h"
#include "modes.h"
#include "ref/ref_backend.h"
#include "runners.h"

namespace lowrank::test {

namespace {

constexpr float kThreshold = 6;

struct Golden {
  const char* name;
  DType act;
  int64_t rows, in, out;
  std::vector<float> x;
  std::vector<int8_t> codes;
  std::vector<float> maxima, y, dy, dx;
};

const std::vector<Golden> kGoldens = {
#include "golden_int8.inc"
};

std::vector<char> stored(const std::vector<float>& values, DType t) {
  std::vector<char> bytes(values.size() * size_t(dtype_bytes(t)));
  for (size_t i = 0; i < values.size(); i++) store_f32(bytes.data(), t, int64_t(i), values[i]);
  return bytes;
}

// The error that a sum of n products may have. The library stores results in its input's dtype, the product of codes and the
// product of the outliers one after the other.
double bound(const Golden& g, int64_t n, double terms, DType operands) {
  const double rounding = g.act == DType::f32 ? 0 : 3 * unit(g.act), weights = operands == DType::f32 ? 0 : unit(operands);
  return terms * (sum_error(n) + rounding + weights);
}

std::string check(Backend& b, const Golden& g, DType operands) {
  std::vector<char> x = stored(g.x, g.act), dy = stored(g.dy, g.act);
  std::vector<float> y(size_t(g.rows * g.out)), dx(size_t(g.rows * g.in));
  Weight w{.data = g.codes.data(), .format = Format::i8, .rows = g.out, .cols = g.in, .absmax = g.maxima.data(), .outlier_threshold = kThreshold};
  b.linear_fwd({.x = Mat(x.data(), g.act, g.rows, g.in), .w = w, .u = {}, .y = Mat(y.data(), DType::f32, g.rows, g.out)});
  b.linear_bwd({.dy = Mat(dy.data(), g.act, g.rows, g.out), .x = {}, .w = w, .u = {}, .dx = Mat(dx.data(), DType::f32, g.rows, g.in)});
  const auto wrong = [](const char* what, int64_t r, int64_t c, double found, double expected, double allowed) {
    return std::string(what) + "[" + std::to_string(r) + "," + std::to_string(c) + "]: expected " + std::to_string(expected) + ", found " +
           std::to_string(found) + ", bound " + std::to_string(allowed);
  };
  for (int64_t m = 0; m < g.rows; m++) {
    for (int64_t o = 0; o < g.out; o++) {
      double terms = 0;
      for (int64_t i = 0; i < g.in; i++) terms += std::fabs(double(g.x[size_t(m * g.in + i)]) * double(w.get(o, i)));
      const double found = double(y[size_t(m * g.out + o)]), expected = double(g.y[size_t(m * g.out + o)]), allowed = bound(g, g.in, terms, operands);
      if (!(std::fabs(found - expected) <= allowed)) return wrong("y", m, o, found, expected, allowed);
    }
    for (int64_t i = 0; i < g.in; i++) {
      double terms = 0;
      Chains chains;
      for (int64_t o = 0; o < g.out; o++) {
        terms += std::fabs(double(g.dy[size_t(m * g.out + o)]) * double(w.get(o, i)));
        chains.add(double(g.dy[size_t(m * g.out + o)]), double(w.get(o, i)));
      }
      const double found = double(dx[size_t(m * g.in + i)]), expected = double(g.dx[size_t(m * g.in + i)]),
                   allowed = bound(g, g.out, terms, operands) + (operands == DType::f16 ? chains.error() : 0);
      if (!(std::fabs(found - expected) <= allowed)) return wrong("dx", m, i, found, expected, allowed);
    }
  }
  return "";
}

// A NaN stays in its own row, and so does an infinity: a step that overflowed must show.
std::string check_not_finite(Backend& b) {
  constexpr int64_t kRows = 5, kIn = 40, kOut = 3;
  std::vector<float> x(size_t(kRows * kIn), 0.5f), y(size_t(kRows * kOut)), maxima(size_t(kOut), 0.25f);
  const std::vector<int8_t> codes(size_t(kOut * kIn), 3);
  x[size_t(1 * kIn + 7)] = std::nanf("");
  x[size_t(3 * kIn + 35)] = -std::numeric_limits<float>::infinity();
  const Weight w{.data = codes.data(), .format = Format::i8, .rows = kOut, .cols = kIn, .absmax = maxima.data(), .outlier_threshold = kThreshold};
  b.linear_fwd({.x = Mat(x.data(), DType::f32, kRows, kIn), .w = w, .u = {}, .y = Mat(y.data(), DType::f32, kRows, kOut)});
  for (int64_t i = 0; i < kRows * kOut; i++) {
    if (std::isfinite(y[size_t(i)]) == (i / kOut == 1 || i / kOut == 3)) return "row " + std::to_string(i / kOut) + ": " + std::to_string(y[size_t(i)]);
  }
  return "";
}

}  // namespace

void test_int8_goldens(const cpu::InstructionSet& isa, Report& report) {
  RefBackend twin;
  Runner other(isa, 1);
  OpLimits small;
  small.tokens = small.features = 40;
  small.rounds_activations = true;
  const std::string not_finite = check_not_finite(other.prepare(small, true));
  report.expect(not_finite.empty(), "twin [" + other.label() + "] LLM.int8 of what is not finite", not_finite);
  for (const Golden& g : kGoldens) {
    Runner runner(isa, 2);
    OpLimits limits;
    limits.tokens = g.rows;
    limits.features = std::max(g.in, g.out);
    limits.act = g.act;
    limits.training = limits.rounds_activations = true;
    for (Backend* b : {&runner.prepare(limits, true), static_cast<Backend*>(&twin)}) {
      const std::string wrong = check(*b, g, b == &twin ? DType::f32 : runner.operands(g.act));
      report.expect(wrong.empty(), "twin [" + (b == &twin ? b->name() : runner.label()) + "] LLM.int8 as bitsandbytes has it: " + g.name, wrong);
    }
  }
}

}  // namespace lowrank::test
