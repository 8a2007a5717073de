// Operands, call and bounds of the head.
#include <cmath>

#include "bounds.h"
#include "chains.h"
#include "operations.h"
#include "random.h"

namespace lowrank::test {

namespace {

constexpr float kLossScale = 0.75f;

void define(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("x", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act, c.size), c.ld_pad);
  define_weight(c, s, "w", r);
  if (c.bias) s.vector("bias", r.values(c.features, DType::f32));
  std::vector<int32_t> labels;
  for (int64_t n = 0; n < c.rows; n++)
    labels.push_back(int32_t(n % 3 == 0 ? c.features - 1 : n % 3 == 1 ? 0 : r.below(c.features)));
  s.ints("labels", labels);
  if (c.optional) s.output("dx", DType::f32, c.rows, c.in, c.ld_pad);
  if (c.replaced > 0) {
    s.input("rows", DType::f32, c.replaced, c.in, r.values(c.replaced * c.in, c.exact ? DType::bf16 : DType::f32));
    std::vector<int32_t> ids;
    // From the last word on, so that labels are among them; never the same twice.
    for (int64_t i = 0; i < c.replaced; i++) ids.push_back(int32_t(c.features - 1 - i * (c.features / c.replaced)));
    s.ints("row_ids", ids);
    if (c.trains) s.in_place("drows", DType::f32, c.replaced, c.in, r.values(c.replaced * c.in, DType::f32));
    return;
  }
  if (!c.trains) return;
  s.in_place("dw", DType::f32, c.features, c.in, r.values(c.features * c.in, DType::f32));
  if (c.bias) s.in_place("dbias", DType::f32, 1, c.features, r.values(c.features, DType::f32));
}

void call(const Case& c, Backend& b, Memory& m) {
  b.head({.x = m.mat("x"),
          .w = m.weight("w"),
          .labels = m.ints("labels"),
          .loss_scale = kLossScale,
          .dx = m.mat("dx"),
          .loss_sum = &m.scalar,
          .dynamic_scale = nullptr,
          .bias = m.f32("bias"),
          .soft_cap = c.cap,
          .dw = m.f32("dw"),
          .dbias = m.f32("dbias"),
          .rows = c.replaced > 0 ? Weight{.data = m.f32("rows"), .rows = c.replaced, .cols = c.in} : Weight(),
          .row_ids = m.ints("row_ids"),
          .drows = m.f32("drows")});
}

// Logits are off by their products' error and one rounding to act. The loss is off by the label's logit's error and the mean
// error of all under softmax. The gradient g = scale (softmax - onehot) is off by both, relatively to the softmax, and one
// rounding to act.
void bound(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots& slots, Bounds& b) {
  const Mat x = twin.mat("x");
  const Weight w = twin.weight("w");
  // Rows in the places of others are f32.
  const double w_error = std::max(weight_error(c, arithmetic), c.replaced > 0 && !c.exact ? arithmetic.operand : 0);
  const size_t vocab = static_cast<size_t>(c.features);
  std::vector<double> logits(vocab), off(vocab);
  std::vector<int64_t> replaced(vocab, -1);
  for (int64_t i = 0; i < c.replaced; i++) replaced[size_t(twin.ints("row_ids")[i])] = i;
  const auto weight = [&](size_t v, int64_t i) {
    return double(replaced[v] < 0 ? w.get(int64_t(v), i) : twin.mat("rows").get(replaced[v], i));
  };
  if (c.trains) {
    // Rounded once to the sum so far in each chunk of rows; these cases have one.
    const auto before = [&](const char* name) {
      std::vector<double> own;
      for (const float v : slots.find(name)->values) own.push_back(2 * kF32 * std::fabs(double(v)));
      return own;
    };
    b.of[c.replaced > 0 ? "drows" : "dw"] = before(c.replaced > 0 ? "drows" : "dw");
    if (c.bias) b.of["dbias"] = before("dbias");
  }
  std::vector<Chains> gradients(arithmetic.chains && c.trains ? vocab * size_t(c.in) : 0);  // dw or drows, as W would have them
  for (int64_t n = 0; n < c.rows; n++) {
    double top = -1e300, total = 0, mean_off = 0;
    for (size_t v = 0; v < vocab; v++) {
      double sum = 0, terms = 0;
      Chains chains;
      for (int64_t i = 0; i < c.in; i++) {
        const double t = double(x.get(n, i)) * weight(v, i);
        sum += t;
        terms += std::fabs(t);
        chains.add(double(x.get(n, i)), weight(v, i));
      }
      if (c.bias) sum += double(twin.f32("bias")[v]);
      logits[v] = c.cap > 0 ? double(c.cap) * std::tanh(sum / double(c.cap)) : sum;
      off[v] = terms * (sum_error(c.in) + w_error) + (arithmetic.chains ? chains.error() : 0);
      if (c.bias) off[v] += kF32 * std::fabs(sum);
      off[v] += unit(c.act) * (std::fabs(sum) + off[v]) + smallest(c.act);
      // Capped, it is rounded once more.
      if (c.cap > 0) off[v] += kCap * double(c.cap) + unit(c.act) * (std::fabs(logits[v]) + off[v]) + smallest(c.act);
      top = std::max(top, logits[v]);
    }
    for (size_t v = 0; v < vocab; v++) {
      const double p = std::exp(logits[v] - top);
      total += p;
      mean_off += p * std::expm1(off[v]);
    }
    const double lse = top + std::log(total);
    // Runs of 1024 are summed in f32, then in double.
    const double lse_off = mean_off / total + sum_error(1024) + kExp + kF32 * std::fabs(lse);
    const size_t label = size_t(twin.ints("labels")[n]);
    b.scalar += off[label] + lse_off;
    if (!c.optional) continue;
    std::vector<double> g(vocab), g_off(vocab);
    for (size_t v = 0; v < vocab; v++) {
      const double p = std::exp(logits[v] - lse);
      const double share = c.cap > 0 ? logits[v] / double(c.cap) : 0, slope = 1 - share * share;
      const double slope_off = c.cap > 0 ? 2 * off[v] / double(c.cap) + 4 * kF32 : 0;
      g[v] = double(kLossScale) * (v == label ? 1 - p : p) * slope;
      g_off[v] = double(kLossScale) * (p * (std::expm1(off[v] + lse_off) + kExp) + (v == label ? 1 - p : p) * slope_off);
      g_off[v] += unit(c.act) * (g[v] + g_off[v]) + smallest(c.act);
    }
    for (size_t v = 0; v < (c.trains ? vocab : 0); v++) {
      const double error = g_off[v] + g[v] * (sum_error(c.rows) + 2 * kF32);
      const int64_t row = c.replaced > 0 ? replaced[v] : int64_t(v);
      for (int64_t i = 0; i < (row < 0 ? 0 : c.in); i++) {
        b.of[c.replaced > 0 ? "drows" : "dw"][size_t(row * c.in + i)] += error * std::fabs(double(x.get(n, i)));
        if (arithmetic.chains) gradients[v * size_t(c.in) + size_t(i)].add(double(x.get(n, i)), g[v] + g_off[v]);
      }
      if (c.bias) b.of["dbias"][v] += error;
    }
    for (int64_t i = 0; i < c.in; i++) {
      double error = 0;
      Chains kept, others;  // two terms of the product
      for (size_t v = 0; v < vocab; v++) {
        error += std::fabs(weight(v, i)) * (g_off[v] + g[v] * (sum_error(c.features) + w_error));
        kept.add(replaced[v] < 0 ? g[v] + g_off[v] : 0, weight(v, i));
      }
      for (int64_t r = 0; r < c.replaced; r++) {
        const size_t v = size_t(twin.ints("row_ids")[r]);
        others.add(g[v] + g_off[v], weight(v, i));
      }
      if (arithmetic.chains) error += kept.error() + others.error();
      b.of["dx"].push_back(error);
    }
  }
  for (size_t v = 0; v < (gradients.empty() ? 0 : vocab); v++) {
    const int64_t row = c.replaced > 0 ? replaced[v] : int64_t(v);
    for (int64_t i = 0; i < (row < 0 ? 0 : c.in); i++) {
      b.of[c.replaced > 0 ? "drows" : "dw"][size_t(row * c.in + i)] += gradients[v * size_t(c.in) + size_t(i)].error();
    }
  }
}

double work(const Case& c) { return double(c.rows) * double(c.in * c.features) * (c.optional ? 2 : 1); }

}  // namespace

const std::vector<Operation> kHeadOperations = {{"head", define, call, bound, work, false}};

}  // namespace lowrank::test
