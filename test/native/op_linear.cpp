// Operands, calls and bounds of the linears.
#include <cmath>

#include "bounds.h"
#include "chains.h"
#include "operations.h"
#include "random.h"
#include "ref/ref_backend.h"

namespace lowrank::test {

namespace {

using Values = std::vector<double>;

DType weight_grid(const Case& c) { return c.exact ? DType::bf16 : DType::f32; }

// The relative error that rounding A and B for products makes.
double adapter_error(const Case& c, const Arithmetic& a) { return c.exact ? 0 : a.operand; }

// The same of rounding the adapter's term.
double term_error(const Case& c, const Arithmetic& a) {
  return c.rank && c.out == c.act && !c.bias && !c.accumulate && !c.also && c.stored.threshold == 0 ? a.term : 0;
}

// The operands of further linears of one input have a number behind their names.
std::string numbered(const char* name, int linear) { return linear == 0 ? name : name + std::to_string(linear); }

void define_common(const Case& c, Slots& s, Random& r, int linear = 0) {
  define_weight(c, s, numbered("w", linear).c_str(), r);
  if (!c.rank) return;
  s.input(numbered("a", linear), DType::f32, c.rank, c.in, r.values(c.rank * c.in, weight_grid(c)));
  s.input(numbered("b", linear), DType::f32, c.features, c.rank, r.values(c.features * c.rank, weight_grid(c)));
}

Lora lora_of(const Case& c, const Memory& m, int linear = 0) {
  Lora l;
  l.a = m.f32(numbered("a", linear));
  l.b = m.f32(numbered("b", linear));
  l.da = m.f32(numbered("da", linear));
  l.db = m.f32(numbered("db", linear));
  l.rank = c.rank;
  l.scale = 1.5f;
  l.dropout = c.dropout;
  l.undropped = c.undropped;
  return l;
}

// As row r of A reads it.
double dropped(const Case& c, const Mat& x, int64_t m, int64_t i, int64_t r) {
  return ref_dropout(double(x.get(m, i)), r < c.rank - c.undropped ? c.dropout : Dropout(), uint64_t(m * c.in + i), c.act);
}

void define_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("x", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  define_common(c, s, r);
  if (c.bias) s.vector("bias", r.values(c.features, DType::f32));
  if (c.rank) s.output("u", c.act, c.rows, c.rank).rounded = true;
  if (c.accumulate) s.in_place("y", c.out, c.rows, c.features, r.values(c.rows * c.features, c.out), c.ld_pad);
  else s.output("y", c.out, c.rows, c.features, c.ld_pad);
}

void call_fwd(const Case& c, Backend& b, Memory& m) {
  const Lora l = lora_of(c, m);
  b.linear_fwd({.x = m.mat("x"),
                .w = m.weight("w"),
                .bias = m.f32("bias"),
                .lora = c.rank ? &l : nullptr,
                .u = m.mat("u"),
                .y = m.mat("y"),
                .accumulate = c.accumulate,
                .together = c.together});
}

void bound_fwd(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots& slots, Bounds& bounds) {
  const Mat x = twin.mat("x"), a = twin.mat("a"), b = twin.mat("b"), u = twin.mat("u");
  const Weight w = twin.weight("w");
  const Values values = ref_weight(w);
  const bool rounds = w.outlier_threshold > 0;
  const RefInt8 rounded = rounds ? ref_int8(x, w.outlier_threshold) : RefInt8();
  const double lora_error = adapter_error(c, arithmetic), w_error = weight_error(c, arithmetic),
               scale = 1.5;
  const double rounded_term = term_error(c, arithmetic);
  Values &y_bound = bounds.of["y"], &u_bound = bounds.of["u"];
  for (int64_t m = 0; m < c.rows; m++) {
    Values u_apart;  // how far two u, each rounded to act, may lie apart
    for (int64_t r = 0; r < c.rank; r++) {
      double terms = 0;
      Chains chains;
      for (int64_t i = 0; i < c.in; i++) {
        terms += std::fabs(scale * dropped(c, x, m, i, r) * double(a.get(r, i)));
        chains.add(scale * dropped(c, x, m, i, r), double(a.get(r, i)));
      }
      u_bound.push_back(terms * (sum_error(c.in) + lora_error) + (arithmetic.chains ? chains.error() : 0));
      u_apart.push_back(u_bound.back() + unit(c.act) * (2 * std::fabs(double(u.get(m, r))) + u_bound.back()) + 2 * smallest(c.act));
    }
    for (int64_t o = 0; o < c.features; o++) {
      double products = 0, through_u = 0, rest = 0, u_error = 0;
      Chains first, second;  // two terms of the product
      for (int64_t i = 0; i < c.in; i++) {
        if (!rounds) first.add(double(x.get(m, i)), values[size_t(o * c.in + i)]);
        // Codes are exact in every dtype.
        if (!rounds || rounded.outliers[size_t(i)]) products += std::fabs(double(x.get(m, i)) * values[size_t(o * c.in + i)]);
        else rest += std::fabs(rounded.codes[size_t(m * c.in + i)] * ref_int8_code(w, o, i) * rounded.maxima[size_t(m)] * double(w.row_maximum(o)) * double(kInt8ProductStep));
      }
      for (int64_t r = 0; r < c.rank; r++) {
        through_u += std::fabs(double(u.get(m, r)) * double(b.get(o, r)));
        u_error += u_apart[size_t(r)] * std::fabs(double(b.get(o, r)));
        second.add(std::fabs(double(u.get(m, r))) + u_apart[size_t(r)], double(b.get(o, r)));
      }
      if (c.bias) rest += std::fabs(double(twin.f32("bias")[o]));
      if (c.accumulate) rest += std::fabs(double(slots.find("y")->values[size_t(m * c.features + o)]));
      y_bound.push_back(sum_error(c.in + c.rank) * (products + through_u + rest) + w_error * products +
                        lora_error * through_u + u_error + (arithmetic.chains ? first.error() + second.error() : 0));
      if (rounded_term > 0) y_bound.back() += rounded_term * (through_u + u_error) + smallest(c.act);
    }
  }
}

void define_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  if (c.rank) s.input("x", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  for (int l = 0; l <= c.also; l++) {
    s.input(numbered("dy", l), c.act, c.rows, c.features, r.values(c.rows * c.features, c.act), c.ld_pad);
    define_common(c, s, r, l);
    if (!c.rank) continue;
    s.input(numbered("u", l), c.act, c.rows, c.rank, r.values(c.rows * c.rank, c.act));
    s.in_place(numbered("da", l), DType::f32, c.rank, c.in, r.values(c.rank * c.in, DType::f32));
    s.in_place(numbered("db", l), DType::f32, c.features, c.rank, r.values(c.features * c.rank, DType::f32));
  }
  if (!c.optional) return;
  if (c.accumulate) s.in_place("dx", c.out, c.rows, c.in, r.values(c.rows * c.in, c.out), c.ld_pad);
  else s.output("dx", c.out, c.rows, c.in, c.ld_pad);
}

// The numbers of gradients that are rounded by chance; their first counter may begin within a word.
Dropout numbers_of(int linear) { return {0, 77, uint64_t(5 + linear), uint64_t(1 + 4 * linear)}; }

void call_bwd(const Case& c, Backend& b, Memory& m) {
  std::vector<Lora> loras;
  for (int l = 0; l <= c.also; l++) loras.push_back(lora_of(c, m, l));
  std::vector<LinearBwdArgs> linears;
  for (int l = 0; l <= c.also; l++) {
    linears.push_back({.dy = m.mat(numbered("dy", l)),
                       .x = m.mat("x"),
                       .w = m.weight(numbered("w", l)),
                       .lora = c.rank ? &loras[size_t(l)] : nullptr,
                       .u = m.mat(numbered("u", l)),
                       .dx = m.mat("dx"),
                       .accumulate = c.accumulate,
                       .numbers = numbers_of(l)});
  }
  for (int l = 0; l < c.also; l++) linears[size_t(l)].also = &linears[size_t(l) + 1];
  b.linear_bwd(linears[0]);
}

void bound_bwd(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots& slots, Bounds& bounds) {
  const Mat x = twin.mat("x");
  const double lora_error = adapter_error(c, arithmetic), w_error = weight_error(c, arithmetic), scale = 1.5;
  const double drop_scale = c.dropout.p < 1 ? 1 / (1 - double(c.dropout.p)) : 1;
  const int64_t linears = c.also + 1;
  const double rounded_term = term_error(c, arithmetic);
  Values dx_bound(c.optional ? size_t(c.rows * c.in) : 0), dx_sum = dx_bound;  // the sum: of magnitudes, over the linears
  for (int64_t m = 0; c.optional && c.accumulate && m < c.rows * c.in; m++) dx_sum[size_t(m)] = std::fabs(double(slots.find("dx")->values[size_t(m)]));
  for (int l = 0; l < linears; l++) {
    const Mat dy = twin.mat(numbered("dy", l)), a = twin.mat(numbered("a", l)), b = twin.mat(numbered("b", l)), u = twin.mat(numbered("u", l));
    const Weight weight = twin.weight(numbered("w", l));
    const Values w = c.optional ? ref_weight(weight) : Values();
    const bool in_codes = c.optional && weight.gradient_codes != GradientCodes::none;
    const RefGradient gradient = in_codes ? ref_gradient(dy, weight, numbers_of(l)) : RefGradient();
    Values du, du_apart;  // (M, R); how far two du, each rounded to act, may lie apart
    for (int64_t m = 0; m < c.rows; m++) {
      for (int64_t r = 0; r < c.rank; r++) {
        double sum = 0, terms = 0;
        Chains chains;
        for (int64_t o = 0; o < c.features; o++) {
          const double t = scale * double(dy.get(m, o)) * double(b.get(o, r));
          sum += t;
          terms += std::fabs(t);
          chains.add(scale * double(dy.get(m, o)), double(b.get(o, r)));
        }
        const double error = terms * (sum_error(c.features) + lora_error) + (arithmetic.chains ? chains.error() : 0);
        du.push_back(sum);
        du_apart.push_back(error + unit(c.act) * (2 * std::fabs(sum) + error) + 2 * smallest(c.act));
      }
    }
    for (int64_t m = 0; c.optional && m < c.rows; m++) {
      for (int64_t i = 0; i < c.in; i++) {
        const size_t place = size_t(m * c.in + i);
        double products = 0, through_a = 0, du_error = 0;
        Chains first, second;  // two terms of the product
        // Codes are exact; their scaled sum is a term.
        for (int64_t o = 0; o < c.features; o++) {
          if (in_codes) dx_sum[place] += std::fabs(gradient.codes[size_t(m * c.features + o)] * ref_int8_code(weight, o, i) * gradient.maxima[size_t(m)] * double(kGradientStep));
          else products += std::fabs(double(dy.get(m, o)) * w[size_t(o * c.in + i)]);
          if (!in_codes) first.add(double(dy.get(m, o)), w[size_t(o * c.in + i)]);
        }
        for (int64_t r = 0; r < c.rank; r++) {
          const size_t at = size_t(m * c.rank + r);
          through_a += drop_scale * std::fabs(du[at] * double(a.get(r, i)));
          du_error += drop_scale * du_apart[at] * std::fabs(double(a.get(r, i)));
          second.add(drop_scale * (std::fabs(du[at]) + du_apart[at]), double(a.get(r, i)));
        }
        if (arithmetic.chains) dx_bound[place] += first.error() + second.error();
        dx_sum[place] += products + through_a;
        dx_bound[place] += w_error * products + lora_error * through_a + du_error;
        if (rounded_term > 0) dx_bound[place] += rounded_term * (through_a + du_error) + smallest(c.act);
        // With a mask between them, the two terms are stored (as dx and as act) before they are added.
        if (c.rank && c.dropout.active()) dx_bound[place] += 2 * unit(c.out) * dx_sum[place] + unit(c.act) * (through_a + du_error) + 2 * smallest(c.act);
      }
    }
    for (int64_t o = 0; o < c.features; o++) {
      for (int64_t r = 0; r < c.rank; r++) {
        double terms = std::fabs(double(slots.find(numbered("db", l))->values[size_t(o * c.rank + r)]));
        Chains chains;
        for (int64_t m = 0; m < c.rows; m++) {
          terms += std::fabs(double(dy.get(m, o)) * double(u.get(m, r)));
          chains.add(double(u.get(m, r)), double(dy.get(m, o)));
        }
        bounds.of[numbered("db", l)].push_back(sum_error(c.rows) * terms + (arithmetic.chains ? chains.error() : 0));
      }
    }
    for (int64_t r = 0; r < c.rank; r++) {
      for (int64_t i = 0; i < c.in; i++) {
        double terms = std::fabs(double(slots.find(numbered("da", l))->values[size_t(r * c.in + i)])), du_error = 0;
        Chains chains;
        for (int64_t m = 0; m < c.rows; m++) {
          const double xd = std::fabs(dropped(c, x, m, i, r));
          chains.add(std::fabs(du[size_t(m * c.rank + r)]) + du_apart[size_t(m * c.rank + r)], xd);
          terms += xd * std::fabs(du[size_t(m * c.rank + r)]);
          du_error += xd * du_apart[size_t(m * c.rank + r)];
        }
        bounds.of[numbered("da", l)].push_back(sum_error(c.rows) * terms + du_error + (arithmetic.chains ? chains.error() : 0));
      }
    }
  }
  // Sums may also be rounded as dx where they go on after several terms.
  const double rounding = linears > 2 ? 2 * unit(c.out) : 0;
  for (size_t i = 0; i < dx_bound.size(); i++) dx_bound[i] += (sum_error(linears * (c.features + c.rank)) + rounding) * dx_sum[i];
  if (c.optional) bounds.of["dx"] = dx_bound;
}

double work_fwd(const Case& c) { return double(c.rows) * double(c.in * c.features + c.rank * (c.in + c.features)); }
double work_bwd(const Case& c) {
  return double(c.rows) * double((c.optional ? c.in * c.features : 0) + 3 * c.rank * (c.in + c.features)) * (c.also + 1);
}

}  // namespace

const std::vector<Operation> kLinearOperations = {
    {"linear_fwd", define_fwd, call_fwd, bound_fwd, work_fwd, false},
    {"linear_bwd", define_bwd, call_bwd, bound_bwd, work_bwd, false},
};

}  // namespace lowrank::test
