// The twin's backward passes against finite differences of its own forward passes: the proof of the twin.
//
// With L = sum of weights * outputs of the forward pass and the weights as the gradient that goes in, each gradient that
// comes out is dL/dinput. Central differences of fourth order with h = 1/16: truncation h^4/30 f''''' is below 1e-6 f''''',
// the f32 storage of outputs adds about 1e-7 sum|terms| / h.
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>

#include "modes.h"
#include "random.h"
#include "ref/ref_backend.h"

namespace lowrank::test {

namespace {

using Loss = std::function<double()>;

// Of the f32 value at `place`, which may lie anywhere, as weights do.
double difference(char* place, const Loss& loss) {
  constexpr double kStep = 0x1p-4;
  float at;
  std::memcpy(&at, place, sizeof at);
  const auto put = [&](float x) { std::memcpy(place, &x, sizeof x); };
  const auto f = [&](double h) {
    put(float(double(at) + h));
    return loss();
  };
  const double d = (8 * (f(kStep) - f(-kStep)) - (f(2 * kStep) - f(-2 * kStep))) / (12 * kStep);
  put(at);
  return d;
}

class Check {
 public:
  Check(const Case& c, Report& report) : case_(c), report_(report) {
    const Operation& op = operation(c.op);
    op.define(c, slots_);
    memory_ = std::make_unique<Memory>(slots_, Memory::Kind::twin);
    memory_->scalar = 0;
    op.call(c, ref_, *memory_);
  }

  // The operation once more, with inputs that were changed since.
  void again() {
    memory_->reset();
    operation(case_.op).call(case_, ref_, *memory_);
  }

  // Each element of the gradient in slot `name` against the difference of a loss that reads `input`.
  void compare(const std::string& name, const Mat& input, const Loss& loss) {
    const Mat gradient = memory_->mat(name);
    const Slot& slot = *slots_.find(name);
    // The value before a += is not part of the gradient; rope, label_loss and z are in place, but no sums.
    const bool sum = slot.role == Role::in_place && case_.op != "rope" && case_.op != "label_loss" && name != "z";
    double largest = 0;
    std::vector<double> expected, found;
    for (int64_t r = 0; r < input.rows; r++) {
      for (int64_t c = 0; c < input.cols; c++) {
        expected.push_back(difference(input.row(r) + c * int64_t(sizeof(float)), loss));
        found.push_back(double(gradient.get(r, c)) - (sum ? double(slot.values[size_t(r * slot.cols + c)]) : 0));
        largest = std::max(largest, std::fabs(expected.back()));
      }
    }
    std::string wrong;
    const double bound = 2e-5 * (largest + 1);
    for (size_t i = 0; i < expected.size() && wrong.empty(); i++) {
      if (std::fabs(expected[i] - found[i]) <= bound) continue;
      wrong = "element " + std::to_string(i) + ": difference " + std::to_string(expected[i]) + ", found " +
              std::to_string(found[i]) + ", bound " + std::to_string(bound);
    }
    report_.expect(wrong.empty(), "grad " + name + " of " + case_.name(), wrong);
  }

  Memory& memory() { return *memory_; }
  float initial(const std::string& name, int64_t i) const { return slots_.find(name)->values[size_t(i)]; }
  RefBackend& ref() { return ref_; }

 private:
  Case case_;
  Report& report_;
  Slots slots_;
  std::unique_ptr<Memory> memory_;
  RefBackend ref_;
};

// A matrix of its own, for the outputs of a forward pass.
struct Output {
  std::vector<float> values;
  Mat mat;
  Output(int64_t rows, int64_t cols) : values(size_t(rows * cols)), mat(values.data(), DType::f32, rows, cols) {}
  double dot(const Mat& weights) const {
    double sum = 0;
    for (int64_t r = 0; r < mat.rows; r++) {
      for (int64_t c = 0; c < mat.cols; c++) sum += double(mat.get(r, c)) * double(weights.get(r, c));
    }
    return sum;
  }
};

// An input that the case does not have itself.
struct Input {
  std::vector<float> values;
  Mat mat;
  Input(int64_t rows, int64_t cols, uint64_t seed)
      : values(Random(seed).values(rows * cols, DType::bf16)), mat(values.data(), DType::f32, rows, cols) {}
};

void check_linear(const Case& c, Check& check) {
  Memory& m = check.memory();
  Output y(c.rows, c.features), u(c.rows, c.rank);
  const Input other(c.rows, c.in, c.seed);  // without an adapter the backward pass needs no x
  const Mat x = c.rank ? m.mat("x") : other.mat;
  Lora l;
  l.a = m.f32("a");
  l.b = m.f32("b");
  l.rank = c.rank;
  l.scale = 1.5f;
  l.dropout = c.dropout;
  l.undropped = c.undropped;
  const auto forward = [&] {
    check.ref().linear_fwd({.x = x, .w = m.weight("w"), .lora = c.rank ? &l : nullptr, .u = u.mat, .y = y.mat});
    return y.dot(m.mat("dy"));
  };
  // The case's u is drawn; the gradients need the u of its x.
  forward();
  if (c.rank) check.ref().cast({u.mat, m.mat("u")});
  check.again();
  check.compare("dx", x, forward);
  if (!c.rank) return;
  check.compare("da", m.mat("a"), forward);
  check.compare("db", m.mat("b"), forward);
}

// eps = 1, so that the norm bends little within the differences wherever x lies.
void check_norm(const Case& c, Check& check) {
  Memory& m = check.memory();
  if (c.centred) {  // the backward pass reads x as it is saved
    const Mat x = m.mat("x");
    for (int64_t r = 0; r < c.rows; r++) {
      double mean = 0;
      for (int64_t i = 0; i < c.in; i++) mean += double(x.get(r, i)) / double(c.in);
      for (int64_t i = 0; i < c.in; i++) x.set(r, i, float(double(x.get(r, i)) - mean));
    }
  }
  Output h(c.rows, c.in);
  const auto forward = [&] {
    check.ref().norm_fwd({.x = m.mat("x"), .w = m.f32("w"), .eps = 1, .h = h.mat, .rstd = m.f32("rstd"), .saved = {}, .b = nullptr, .centred = c.centred});
    return h.dot(m.mat("dh"));
  };
  forward();  // rstd of this x
  check.again();
  check.compare("dx", m.mat("x"), forward);
}

void check_inner_norm(const Case& c, Check& check) {
  Memory& m = check.memory();
  Output y(c.rows, m.mat("x").cols);
  const auto heads = [&](const Mat& mat) { return Heads{mat, 0, c.heads / c.kv_heads * c.head_dim, c.head_dim}; };
  const auto forward = [&] {
    check.ref().inner_norm_fwd({.x = heads(m.mat("x")),
                                .w = m.f32("w"),
                                .eps = 1,
                                .y = heads(y.mat),
                                .rstd = m.f32("rstd"),
                                .heads = c.heads,
                                .groups = c.kv_heads,
                                .dim = c.head_dim,
                                .b = nullptr,
                                .centred = c.centred,
                                .each = c.each});
    return y.dot(m.mat("dy"));
  };
  forward();  // rstd of this x
  check.again();
  check.compare("dx", m.mat("x"), forward);
}

// The case turns the gradient of a result backwards. The result is the gradient of the input, whatever the input was.
void check_rope(const Case& c, Check& check) {
  Memory& m = check.memory();
  Slots slots;
  operation("rope").define(c, slots);
  const Input z(c.rows, slots.find("x")->cols, c.seed + 1);
  const Memory gradient(slots, Memory::Kind::twin);
  Output y(z.mat.rows, z.mat.cols);
  check.compare("x", z.mat, [&] {
    check.ref().cast({z.mat, y.mat});
    check.ref().rope(rope_args(c, m, y.mat, false));
    return y.dot(gradient.mat("x"));
  });
}

void check_glu(const Case& c, Check& check) {
  Memory& m = check.memory();
  Output a(c.rows, c.in);
  const auto forward = [&] {
    check.ref().glu_fwd({.g = m.mat("g"), .u = m.mat("u"), .a = a.mat, .f = c.activation});
    return a.dot(m.mat("da"));
  };
  check.compare("dg", m.mat("g"), forward);
  if (c.gated) check.compare("du", m.mat("u"), forward);
}

// z = its gradient; a magnitude's is the factor's over the norm.
void check_columns(const Case& c, Check& check) {
  Memory& m = check.memory();
  Input z(c.rows, c.in, c.seed + 1), magnitude(1, c.in, c.seed + 2), bias(1, c.in, c.seed + 3);
  Output y(c.rows, c.in), factor(1, c.in);
  if (c.optional) {  // of these inputs, not of the case's
    for (int64_t o = 0; o < c.in; o++) m.f32("factor")[o] = magnitude.values[size_t(o)] / m.f32("norm")[o];
    check.ref().cast({z.mat, m.mat("z")});
    for (int64_t o = 0; o < c.in; o++) m.f32("dmagnitude")[o] = check.initial("dmagnitude", o);
    if (c.bias) {
      for (int64_t o = 0; o < c.in; o++) m.f32("dbias")[o] = check.initial("dbias", o);
    }
    operation(c.op).call(c, check.ref(), m);
  }
  const auto forward = [&] {
    ColumnsFwdArgs args{.z = {}, .bias = bias.values.data(), .bias_scale = 1.5f, .y = y.mat, .accumulate = true};
    check.ref().zero({y.mat});
    if (c.optional) {
      for (int64_t o = 0; o < c.in; o++) factor.values[size_t(o)] = magnitude.values[size_t(o)] / m.f32("norm")[o];
      args.z = z.mat;
      args.factor = factor.values.data();
    }
    check.ref().columns_fwd(args);
    return y.dot(m.mat("dy"));
  };
  if (c.bias) check.compare("dbias", bias.mat, forward);
  if (!c.optional) return;
  check.compare("dmagnitude", magnitude.mat, forward);
  check.compare("z", z.mat, forward);
}

// Its own backward pass: x is the gradient that goes in.
void check_dropout(const Case& c, Check& check) {
  const Input x(c.rows, c.in, c.seed + 1);
  Output y(c.rows, c.in);
  check.compare("y", x.mat, [&] {
    check.ref().dropout({.x = x.mat, .y = y.mat, .dropout = c.dropout, .rest = c.rest});
    return y.dot(check.memory().mat("x"));
  });
}

void check_attention(const Case& c, Check& check) {
  Memory& m = check.memory();
  Output o(m.mat("o").rows, m.mat("o").cols);
  const auto [q, k, v] = attention_heads(c, m);
  const AttentionFwdArgs args{.shape = attention_shape(c, m), .q = q, .k = k, .v = v, .o = o.mat, .lse = nullptr};
  const auto forward = [&] {
    check.ref().attention_fwd(args);
    return o.dot(m.mat("d_o"));
  };
  for (const std::string name : {"q", "k", "v", "qkv"}) {
    if (m.mat(name)) check.compare("d" + name, m.mat(name), forward);
  }
}

void check_head(const Case& c, Check& check) {
  Memory& m = check.memory();
  const auto forward = [&] {
    double loss = 0;
    check.ref().head({.x = m.mat("x"),
                      .w = m.weight("w"),
                      .labels = m.ints("labels"),
                      .loss_scale = 1,
                      .dx = {},
                      .loss_sum = &loss,
                      .dynamic_scale = nullptr,
                      .bias = m.f32("bias"),
                      .soft_cap = c.cap,
                      .rows = c.replaced > 0 ? Weight{.data = m.f32("rows"), .rows = c.replaced, .cols = c.in} : Weight(),
                      .row_ids = m.ints("row_ids")});
    return loss * 0.75;  // the loss_scale of the cases
  };
  check.compare("dx", m.mat("x"), forward);
  if (!c.trains) return;
  if (c.replaced > 0) return check.compare("drows", m.mat("rows"), forward);
  check.compare("dw", m.mat("w"), forward);
  check.compare("dbias", m.mat("bias"), forward);
}

void check_dense(const Case& c, Check& check) {
  Memory& m = check.memory();
  Output y(c.rows, c.features), d(c.rows, c.in);
  const auto forward = [&] {
    check.ref().dense_fwd({.x = m.mat("x"), .w = m.f32("w"), .bias = m.f32("bias"), .f = c.function, .dropout = c.dropout, .d = d.mat, .y = y.mat});
    return y.dot(m.mat("dy"));
  };
  // The case's d is drawn; the gradients need the one of its x.
  forward();
  check.ref().cast({d.mat, m.mat("d")});
  check.again();
  check.compare("dx", m.mat("x"), forward);
  check.compare("dw", m.mat("w"), forward);
  check.compare("dbias", m.mat("bias"), forward);
}

void check_label_loss(const Case& c, Check& check) {
  Memory& m = check.memory();
  Slots slots;
  operation("label_loss").define(c, slots);
  const Slot& z = *slots.find("logits");
  Output at(z.rows, z.cols), work(z.rows, z.cols);
  std::copy(z.values.begin(), z.values.end(), at.values.begin());
  check.compare("logits", at.mat, [&] {
    double loss = 0;
    check.ref().cast({at.mat, work.mat});
    check.ref().label_loss({c.loss, work.mat, m.f32("labels"), false, 1, &loss});
    return loss * 0.75;  // the loss_scale of the cases
  });
}

}  // namespace

void run_grad(const Options& o, Report& report) {
  for (const Case& c : selected(all_cases(), o)) {
    if (!c.gradient) continue;
    try {
      Check check(c, report);
      if (c.op == "linear_bwd") check_linear(c, check);
      else if (c.op == "norm_bwd") check_norm(c, check);
      else if (c.op == "inner_norm_bwd") check_inner_norm(c, check);
      else if (c.op == "rope") check_rope(c, check);
      else if (c.op == "glu_bwd") check_glu(c, check);
      else if (c.op == "columns_bwd") check_columns(c, check);
      else if (c.op == "dropout") check_dropout(c, check);
      else if (c.op == "attention_bwd") check_attention(c, check);
      else if (c.op == "head") check_head(c, check);
      else if (c.op == "dense_bwd") check_dense(c, check);
      else if (c.op == "label_loss") check_label_loss(c, check);
      else throw Error("E_INTERNAL", "There are no finite differences for " + c.op + ".");
    } catch (const Error& e) {
      report.fail("grad " + c.name(), e.what());
    }
  }
}

}  // namespace lowrank::test
