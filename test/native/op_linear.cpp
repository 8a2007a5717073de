// Operands, calls and bounds of the linears.
#include <cmath>

#include "bounds.h"
#include "operations.h"
#include "random.h"
#include "ref/ref_backend.h"

namespace lowrank::test {

namespace {

using Values = std::vector<double>;

DType weight_grid(const Case& c) { return c.exact ? DType::bf16 : DType::f32; }

// The relative error that rounding A and B to bf16 for dot products makes.
double adapter_error(const Case& c, const Arithmetic& a) { return a.bf16_dots && !c.exact ? kBf16 : 0; }

void define_common(const Case& c, Slots& s, Random& r) {
  define_weight(c, s, "w", r);
  if (!c.rank) return;
  s.input("a", DType::f32, c.rank, c.in, r.values(c.rank * c.in, weight_grid(c)));
  s.input("b", DType::f32, c.features, c.rank, r.values(c.features * c.rank, weight_grid(c)));
}

Lora lora_of(const Case& c, const Memory& m) {
  Lora l;
  l.a = m.f32("a");
  l.b = m.f32("b");
  l.da = m.f32("da");
  l.db = m.f32("db");
  l.rank = c.rank;
  l.scale = 1.5f;
  l.dropout = c.dropout;
  return l;
}

double dropped(const Case& c, const Mat& x, int64_t m, int64_t i) {
  return ref_dropout(double(x.get(m, i)), c.dropout, uint64_t(m * c.in + i), c.act);
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
                .accumulate = c.accumulate});
}

void bound_fwd(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots& slots, Bounds& bounds) {
  const Mat x = twin.mat("x"), a = twin.mat("a"), b = twin.mat("b"), u = twin.mat("u");
  const Weight w = twin.weight("w");
  const double lora_error = adapter_error(c, arithmetic), w_error = weight_error(c, arithmetic),
               scale = 1.5;
  Values &y_bound = bounds.of["y"], &u_bound = bounds.of["u"];
  for (int64_t m = 0; m < c.rows; m++) {
    Values u_apart;  // how far two u, each rounded to act, may lie apart
    for (int64_t r = 0; r < c.rank; r++) {
      double terms = 0;
      for (int64_t i = 0; i < c.in; i++) terms += std::fabs(scale * dropped(c, x, m, i) * double(a.get(r, i)));
      u_bound.push_back(terms * (sum_error(c.in) + lora_error));
      u_apart.push_back(u_bound.back() + unit(c.act) * (2 * std::fabs(double(u.get(m, r))) + u_bound.back()));
    }
    for (int64_t o = 0; o < c.features; o++) {
      double products = 0, through_u = 0, rest = 0, u_error = 0;
      for (int64_t i = 0; i < c.in; i++) products += std::fabs(double(x.get(m, i)) * double(w.get(o, i)));
      for (int64_t r = 0; r < c.rank; r++) {
        through_u += std::fabs(double(u.get(m, r)) * double(b.get(o, r)));
        u_error += u_apart[size_t(r)] * std::fabs(double(b.get(o, r)));
      }
      if (c.bias) rest += std::fabs(double(twin.f32("bias")[o]));
      if (c.accumulate) rest += std::fabs(double(slots.find("y")->values[size_t(m * c.features + o)]));
      y_bound.push_back(sum_error(c.in + c.rank) * (products + through_u + rest) + w_error * products +
                        lora_error * through_u + u_error);
    }
  }
}

void define_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("dy", c.act, c.rows, c.features, r.values(c.rows * c.features, c.act), c.ld_pad);
  define_common(c, s, r);
  if (c.rank) {
    s.input("x", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
    s.input("u", c.act, c.rows, c.rank, r.values(c.rows * c.rank, c.act));
    s.in_place("da", DType::f32, c.rank, c.in, r.values(c.rank * c.in, DType::f32));
    s.in_place("db", DType::f32, c.features, c.rank, r.values(c.features * c.rank, DType::f32));
  }
  if (!c.optional) return;
  if (c.accumulate) s.in_place("dx", c.out, c.rows, c.in, r.values(c.rows * c.in, c.out), c.ld_pad);
  else s.output("dx", c.out, c.rows, c.in, c.ld_pad);
}

void call_bwd(const Case& c, Backend& b, Memory& m) {
  const Lora l = lora_of(c, m);
  b.linear_bwd({.dy = m.mat("dy"),
                .x = m.mat("x"),
                .w = m.weight("w"),
                .lora = c.rank ? &l : nullptr,
                .u = m.mat("u"),
                .dx = m.mat("dx"),
                .accumulate = c.accumulate});
}

void bound_bwd(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots& slots, Bounds& bounds) {
  const Mat dy = twin.mat("dy"), x = twin.mat("x"), a = twin.mat("a"), b = twin.mat("b"), u = twin.mat("u");
  const Weight w = twin.weight("w");
  const double lora_error = adapter_error(c, arithmetic), w_error = weight_error(c, arithmetic),
               scale = 1.5;
  const double drop_scale = c.dropout.active() ? 1 / (1 - double(c.dropout.p)) : 1;
  Values du, du_apart;  // (M, R); how far two du, each rounded to act, may lie apart
  for (int64_t m = 0; m < c.rows; m++) {
    for (int64_t r = 0; r < c.rank; r++) {
      double sum = 0, terms = 0;
      for (int64_t o = 0; o < c.features; o++) {
        const double t = scale * double(dy.get(m, o)) * double(b.get(o, r));
        sum += t;
        terms += std::fabs(t);
      }
      const double error = terms * (sum_error(c.features) + lora_error);
      du.push_back(sum);
      du_apart.push_back(error + unit(c.act) * (2 * std::fabs(sum) + error));
    }
  }
  Values& dx_bound = bounds.of["dx"];
  for (int64_t m = 0; c.optional && m < c.rows; m++) {
    for (int64_t i = 0; i < c.in; i++) {
      const double before = c.accumulate ? std::fabs(double(slots.find("dx")->values[size_t(m * c.in + i)])) : 0;
      double products = 0, through_a = 0, du_error = 0;
      for (int64_t o = 0; o < c.features; o++) products += std::fabs(double(dy.get(m, o)) * double(w.get(o, i)));
      for (int64_t r = 0; r < c.rank; r++) {
        const size_t at = size_t(m * c.rank + r);
        through_a += drop_scale * std::fabs(du[at] * double(a.get(r, i)));
        du_error += drop_scale * du_apart[at] * std::fabs(double(a.get(r, i)));
      }
      double error = sum_error(c.features + c.rank) * (products + through_a + before) + w_error * products +
                     lora_error * through_a + du_error;
      // With a mask between them, the two terms are stored (as dx and as act) before they are added.
      if (c.rank && c.dropout.active()) error += unit(c.out) * (products + before) + unit(c.act) * (through_a + du_error);
      dx_bound.push_back(error);
    }
  }
  for (int64_t o = 0; o < c.features; o++) {
    for (int64_t r = 0; r < c.rank; r++) {
      double terms = std::fabs(double(slots.find("db")->values[size_t(o * c.rank + r)]));
      for (int64_t m = 0; m < c.rows; m++) terms += std::fabs(double(dy.get(m, o)) * double(u.get(m, r)));
      bounds.of["db"].push_back(sum_error(c.rows) * terms);
    }
  }
  for (int64_t r = 0; r < c.rank; r++) {
    for (int64_t i = 0; i < c.in; i++) {
      double terms = std::fabs(double(slots.find("da")->values[size_t(r * c.in + i)])), du_error = 0;
      for (int64_t m = 0; m < c.rows; m++) {
        const double xd = std::fabs(dropped(c, x, m, i));
        terms += xd * std::fabs(du[size_t(m * c.rank + r)]);
        du_error += xd * du_apart[size_t(m * c.rank + r)];
      }
      bounds.of["da"].push_back(sum_error(c.rows) * terms + du_error);
    }
  }
}

double work_fwd(const Case& c) { return double(c.rows) * double(c.in * c.features + c.rank * (c.in + c.features)); }
double work_bwd(const Case& c) {
  return double(c.rows) * double((c.optional ? c.in * c.features : 0) + 3 * c.rank * (c.in + c.features));
}

}  // namespace

const std::vector<Operation> kLinearOperations = {
    {"linear_fwd", define_fwd, call_fwd, bound_fwd, work_fwd, false},
    {"linear_bwd", define_bwd, call_bwd, bound_bwd, work_bwd, false},
};

}  // namespace lowrank::test
