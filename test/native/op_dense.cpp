// Operands, calls and bounds of the layers and losses of classifiers.
#include <cmath>

#include "bounds.h"
#include "operations.h"
#include "random.h"

namespace lowrank::test {

namespace {

constexpr float kLossScale = 0.75f;

void define_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("x", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  s.input("w", DType::f32, c.features, c.in, r.values(c.features * c.in, DType::f32));
  if (c.bias) s.vector("bias", r.values(c.features, DType::f32));
  s.output("d", DType::f32, c.rows, c.in, c.ld_pad);
  s.output("y", DType::f32, c.rows, c.features, c.ld_pad);
}
void call_fwd(const Case& c, Backend& b, Memory& m) {
  b.dense_fwd({.x = m.mat("x"), .w = m.f32("w"), .bias = m.f32("bias"), .f = c.function, .dropout = c.dropout, .d = m.mat("d"), .y = m.mat("y")});
}
// tanh has an error of its own, which dropout scales.
double input_error(const Case& c) { return c.function == HeadFunction::tanh ? kExp / (1 - double(c.dropout.p)) : 0; }
void bound_fwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  b.of["d"] = std::vector<double>(size_t(c.rows * c.in), c.function == HeadFunction::tanh ? input_error(c) : Bounds::kExact);
  for (int64_t n = 0; n < c.rows; n++) {
    for (int64_t o = 0; o < c.features; o++) {
      double terms = c.bias ? std::fabs(double(twin.f32("bias")[o])) : 0;
      double of_inputs = 0;
      for (int64_t i = 0; i < c.in; i++) {
        const double w = std::fabs(double(twin.mat("w").get(o, i)));
        terms += std::fabs(double(twin.mat("d").get(n, i))) * w;
        of_inputs += input_error(c) * w;
      }
      b.of["y"].push_back(terms * (sum_error(c.in) + kF32) + of_inputs);
    }
  }
}

void define_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("dy", DType::f32, c.rows, c.features, r.values(c.rows * c.features, DType::f32), c.ld_pad);
  s.input("x", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  s.input("d", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  s.input("w", DType::f32, c.features, c.in, r.values(c.features * c.in, DType::f32));
  if (c.bias) s.vector("bias", r.values(c.features, DType::f32));
  s.output("dx", DType::f32, c.rows, c.in, c.ld_pad);
  if (!c.optional) return;
  s.in_place("dw", DType::f32, c.features, c.in, r.values(c.features * c.in, DType::f32));
  if (c.bias) s.in_place("dbias", DType::f32, 1, c.features, r.values(c.features, DType::f32));
}
void call_bwd(const Case& c, Backend& b, Memory& m) {
  b.dense_bwd({.dy = m.mat("dy"), .x = m.mat("x"), .d = m.mat("d"), .w = m.f32("w"), .f = c.function, .dropout = c.dropout,
               .dx = m.mat("dx"), .dw = m.f32("dw"), .dbias = m.f32("dbias")});
}
void bound_bwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const auto dy = [&](int64_t n, int64_t o) { return std::fabs(double(twin.mat("dy").get(n, o))); };
  // No slope is above 1. That of tanh, 1 - y^2, cancels at most to an error of twice its own and kF32.
  const double dropped = 1 / (1 - double(c.dropout.p)), of_slope = c.function == HeadFunction::tanh ? 2 * kExp + 4 * kF32 : 0;
  for (int64_t n = 0; n < c.rows; n++) {
    for (int64_t i = 0; i < c.in; i++) {
      double error = 0;
      for (int64_t o = 0; o < c.features; o++) error += std::fabs(double(twin.mat("w").get(o, i))) * dy(n, o) * (sum_error(c.features) + 4 * kF32 + of_slope) * dropped;
      b.of["dx"].push_back(error);
    }
  }
  if (!c.optional) return;
  for (int64_t o = 0; o < c.features; o++) {
    double bias = 0;
    for (int64_t n = 0; n < c.rows; n++) bias += dy(n, o) * sum_error(c.rows);
    if (c.bias) b.of["dbias"].push_back(bias + sum_error(c.rows) * std::fabs(double(slots.find("dbias")->values[size_t(o)])));
    for (int64_t i = 0; i < c.in; i++) {
      double error = sum_error(c.rows) * std::fabs(double(slots.find("dw")->values[size_t(o * c.in + i)]));
      for (int64_t n = 0; n < c.rows; n++) error += std::fabs(double(twin.mat("d").get(n, i))) * dy(n, o) * sum_error(c.rows);
      b.of["dw"].push_back(error);
    }
  }
}

bool has_classes(const Case& c) { return c.loss == LabelLoss::single_label_classification; }

void define_loss(const Case& c, Slots& s) {
  Random r(c.seed);
  s.in_place("logits", DType::f32, c.rows, c.features, r.values(c.rows * c.features, DType::f32, c.size), c.ld_pad);
  std::vector<float> labels;
  for (int64_t i = 0; i < c.rows * (has_classes(c) ? 1 : c.features); i++) {
    labels.push_back(has_classes(c) ? float(r.below(c.features)) : c.loss == LabelLoss::regression ? float(r.uniform()) : float(r.below(2)));
  }
  s.vector("labels", labels);
}
void call_loss(const Case& c, Backend& b, Memory& m) {
  b.label_loss({c.loss, m.mat("logits"), m.f32("labels"), c.optional, kLossScale, &m.scalar});
}
// Both sides compute in double; the gradient is rounded once. The twin's softmax - 1 loses the digits that the difference has not.
void bound_loss(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  for (int64_t n = 0; n < c.rows; n++) {
    for (int64_t k = 0; k < c.features; k++) {
      const double z = double(slots.find("logits")->values[size_t(n * c.features + k)]);
      b.scalar += 1e-12 * (1 + std::fabs(z));
      b.of["logits"].push_back(c.optional ? kF32 * std::fabs(double(twin.mat("logits").get(n, k))) + 1e-14 : Bounds::kExact);
    }
  }
}

double work(const Case& c) { return double(c.rows) * double(c.in * c.features); }

}  // namespace

const std::vector<Operation> kDenseOperations = {
    {"dense_fwd", define_fwd, call_fwd, bound_fwd, work, false},
    {"dense_bwd", define_bwd, call_bwd, bound_bwd, work, false},
    {"label_loss", define_loss, call_loss, bound_loss, work, false},
};

}  // namespace lowrank::test
