// Operands, calls and bounds of the operations that work row by row.
#include <cmath>
#include <numbers>

#include "bounds.h"
#include "operations.h"
#include "random.h"

namespace lowrank::test {

namespace {

using Values = std::vector<double>;

double magnitude(const Mat& m, int64_t r, int64_t c) { return std::fabs(double(m.get(r, c))); }

// f(row, column) for each element, in the order of a bound
template <class F>
Values for_elements(int64_t rows, int64_t cols, F&& f) {
  Values v;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) v.push_back(f(r, c));
  }
  return v;
}
Values exactly(const Case& c, int64_t cols) { return Values(size_t(c.rows * cols), Bounds::kExact); }

std::vector<int32_t> indices(Random& r, int64_t n, int64_t below) {
  std::vector<int32_t> v;
  for (int64_t i = 0; i < n; i++) v.push_back(int32_t(i == 0 ? below - 1 : r.below(below)));
  return v;
}

// x (=|+=) table[ids]: a conversion to f32, exact from any dtype
void define_embedding(const Case& c, Slots& s) {
  Random r(c.seed);
  define_weight(c, s, "table", r);
  s.ints("ids", indices(r, c.rows, c.features));
  if (c.accumulate) s.in_place("x", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  else s.output("x", DType::f32, c.rows, c.in, c.ld_pad);
}
void call_embedding(const Case& c, Backend& b, Memory& m) {
  b.embedding_fwd({.ids = m.ints("ids"), .table = m.weight("table"), .x = m.mat("x"), .scale = c.factor, .accumulate = c.accumulate});
}
void bound_embedding(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  if (!c.accumulate && c.factor == 1) {
    b.of["x"] = exactly(c, c.in);
    return;
  }
  const Mat x = twin.mat("x");
  b.of["x"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) {
    const double before = c.accumulate ? std::fabs(double(slots.find("x")->values[size_t(m * c.in + i)])) : 0;
    return kF32 * (2 * magnitude(x, m, i) + before);
  });
}

// dtable[ids[m]] += factor * dx[m]: each term is rounded twice, as it is made and as it is added
void define_embedding_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("dx", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  s.ints("ids", indices(r, c.rows, c.features));
  s.in_place("dtable", DType::f32, c.features, c.in, r.values(c.features * c.in, DType::f32));
}
void call_embedding_bwd(const Case& c, Backend& b, Memory& m) {
  b.embedding_bwd({.ids = m.ints("ids"), .dx = m.mat("dx"), .dtable = m.mat("dtable"), .scale = c.factor});
}
void bound_embedding_bwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const Mat dx = twin.mat("dx");
  const int32_t* const ids = twin.ints("ids");
  b.of["dtable"] = for_elements(c.features, c.in, [&](int64_t v, int64_t i) {
    double terms = std::fabs(double(slots.find("dtable")->values[size_t(v * c.in + i)])), n = 0;
    for (int64_t m = 0; m < c.rows; m++) {
      if (ids[m] != v) continue;
      terms += double(c.factor) * magnitude(dx, m, i);
      n++;
    }
    return n == 0 ? Bounds::kExact : terms * (n + 2) * kF32;
  });
}

constexpr float kEps = 1e-5f;

// A row less its mean: y is off by the mean's sum, absolutely, and by two roundings. Each y of the sum of squares carries this error, too.
struct CentredRow {
  double rstd, rstd_off;            // the latter relative
  std::vector<double> y, y_off;     // magnitudes

  CentredRow(const Mat& x, int64_t m, int64_t first, int64_t n) {
    double mean = 0, magnitudes = 0, squares = 0, sum_y = 0, largest_off = 0;
    for (int64_t i = first; i < first + n; i++) {
      mean += double(x.get(m, i)) / double(n);
      magnitudes += magnitude(x, m, i) / double(n);
    }
    const double off = n == 1 ? 0 : sum_error(n) * magnitudes + kF32 * std::fabs(mean);
    for (int64_t i = first; i < first + n; i++) {
      y.push_back(std::fabs(double(x.get(m, i)) - mean));
      y_off.push_back(off + kF32 * (magnitude(x, m, i) + std::fabs(mean)));
      squares += y.back() * y.back();
      sum_y += y.back();
      largest_off = std::max(largest_off, y_off.back());
    }
    const double variance = squares / double(n) + double(kEps);
    rstd = 1 / std::sqrt(variance);
    rstd_off = sum_error(n) / 2 + 2 * kF32 + largest_off * (sum_y + double(n) * largest_off) / double(n) / variance;
  }
  // Of y * rstd * weight.
  double error(int64_t i, double weight) const {
    return rstd * weight * (y_off[size_t(i)] + (y[size_t(i)] + y_off[size_t(i)]) * (rstd_off + 3 * kF32));
  }
};

// Heads in rows of `features` columns more than theirs; one group.
Heads inner_heads(const Case& c, const Mat& m) { return {m, c.features, c.heads / c.kv_heads * c.head_dim, c.head_dim}; }
int64_t inner_width(const Case& c) { return c.features + c.heads * c.head_dim; }
int64_t inner_weights(const Case& c) { return c.each ? c.heads * c.head_dim : c.head_dim; }
// Where the weight of a column lies.
int64_t inner_weight(const Case& c, int64_t i) { return c.each ? i - c.features : (i - c.features) % c.head_dim; }

void define_inner_norm_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  const int64_t n = c.rows * inner_width(c);
  s.input("x", c.act, c.rows, inner_width(c), r.values(n, c.act, c.size), c.ld_pad);
  s.vector("w", r.values(inner_weights(c), DType::f32));
  s.in_place("y", c.accumulate ? DType::f32 : c.act, c.rows, inner_width(c), r.values(n, c.accumulate ? DType::f32 : c.act), c.ld_pad);
  if (c.optional) s.output("rstd", DType::f32, c.rows, c.heads);
  if (c.bias) s.vector("b", r.values(inner_weights(c), DType::f32));
}
void call_inner_norm_fwd(const Case& c, Backend& b, Memory& m) {
  b.inner_norm_fwd({.x = inner_heads(c, m.mat("x")),
                    .w = m.f32("w"),
                    .eps = kEps,
                    .y = inner_heads(c, m.mat("y")),
                    .rstd = m.f32("rstd"),
                    .heads = c.heads,
                    .groups = c.kv_heads,
                    .dim = c.head_dim,
                    .accumulate = c.accumulate,
                    .b = m.f32("b"),
                    .centred = c.centred,
                    .each = c.each});
}
// As norm_fwd's; columns of no head stay.
void bound_inner_norm_fwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const double rstd = sum_error(c.head_dim) / 2 + 2 * kF32;
  const Mat y = twin.mat("y"), x = twin.mat("x"), w = twin.mat("w"), bias = twin.mat("b");
  const auto& before = slots.find("y")->values;
  b.of["y"].assign(size_t(c.rows * inner_width(c)), Bounds::kExact);
  for (int64_t m = 0; m < c.rows; m++) {
    for (int64_t h = 0; h < c.heads; h++) {
      const int64_t first = c.features + h * c.head_dim;
      const CentredRow row(x, m, first, c.head_dim);
      for (int64_t i = first; i < first + c.head_dim; i++) {
        const size_t at = size_t(m * inner_width(c) + i);
        const double old = c.accumulate ? std::fabs(double(before[at])) : 0, sum = magnitude(y, m, i), added = bias ? magnitude(bias, 0, inner_weight(c, i)) : 0;
        const double own = c.centred ? row.error(i - first, magnitude(w, 0, inner_weight(c, i))) : (rstd + 3 * kF32) * (sum + old + added);
        b.of["y"][at] = own + (c.accumulate ? kF32 * sum : 0) + (bias ? kF32 * (added + sum + old) : 0);
      }
      if (c.optional) b.of["rstd"].push_back(c.centred ? row.rstd_off * row.rstd : rstd * double(twin.f32("rstd")[m * c.heads + h]));
    }
  }
}

void define_inner_norm_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  const int64_t n = c.rows * inner_width(c);
  s.input("dy", c.out, c.rows, inner_width(c), r.values(n, c.out), c.ld_pad);
  s.input("x", c.act, c.rows, inner_width(c), r.values(n, c.act), c.ld_pad);
  s.vector("w", r.values(inner_weights(c), DType::f32));
  std::vector<float> rstd = r.values(c.rows * c.heads, DType::f32);
  for (float& v : rstd) v = 1.5f + v;  // as of rows whose mean square is between 0.2 and 4
  s.vector("rstd", rstd);
  if (c.features > 0) s.in_place("dx", c.act, c.rows, inner_width(c), r.values(n, c.act), c.ld_pad);
  else s.output("dx", c.act, c.rows, inner_width(c), c.ld_pad);
}
void call_inner_norm_bwd(const Case& c, Backend& b, Memory& m) {
  b.inner_norm_bwd({.dy = inner_heads(c, m.mat("dy")),
                    .x = inner_heads(c, m.mat("x")),
                    .w = m.f32("w"),
                    .rstd = m.f32("rstd"),
                    .dx = inner_heads(c, m.mat("dx")),
                    .heads = c.heads,
                    .groups = c.kv_heads,
                    .dim = c.head_dim,
                    .centred = c.centred,
                    .each = c.each});
}
// As norm_bwd's.
void bound_inner_norm_bwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  const Mat dy = twin.mat("dy"), x = twin.mat("x"), w = twin.mat("w");
  const int64_t dim = c.head_dim;
  b.of["dx"] = for_elements(c.rows, inner_width(c), [&](int64_t m, int64_t i) {
    if (i < c.features) return Bounds::kExact;
    const int64_t h = (i - c.features) / dim, first = c.features + h * dim;
    const double s = std::fabs(double(twin.f32("rstd")[m * c.heads + h]));
    const CentredRow row(x, m, first, dim);
    const auto g = [&](int64_t k) { return magnitude(dy, m, first + k) * magnitude(w, 0, inner_weight(c, first + k)) / double(dim); };
    const auto value = [&](int64_t k) { return c.centred ? row.y[size_t(k)] : magnitude(x, m, first + k); };
    double mean = 0, mean_off = 0, mean_g = 0;  // of the magnitudes
    for (int64_t k = 0; k < dim; k++) {
      mean += g(k) * value(k);
      if (c.centred) mean_off += g(k) * row.y_off[size_t(k)], mean_g += g(k);
    }
    const double off = c.centred ? s * s * s * (row.y_off[size_t(i - first)] * (mean + mean_off) + value(i - first) * mean_off) : 0;
    return 5 * kF32 * s * g(i - first) * double(dim) + (sum_error(dim) + 7 * kF32) * (s * s * s * value(i - first) * mean + s * mean_g) + off;
  });
}

void define_soft_cap(const Case& c, Slots& s) {
  Random r(c.seed);
  s.in_place("x", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32, c.size), c.ld_pad);
}
void call_soft_cap(const Case& c, Backend& b, Memory& m) { b.soft_cap({m.mat("x"), c.cap}); }
void bound_soft_cap(const Case& c, const Arithmetic&, const Memory&, const Slots& slots, Bounds& b) {
  for (const float x : slots.find("x")->values) b.of["x"].push_back(kCap * double(c.cap) + 2 * kF32 * std::fabs(double(x)));
}

void define_norm_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("x", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32, c.size), c.ld_pad);
  s.vector("w", r.values(c.in, DType::f32));
  if (c.bias) s.vector("b", r.values(c.in, DType::f32));
  s.output("h", c.act, c.rows, c.in, c.ld_pad);
  if (!c.optional) return;
  s.output("rstd", DType::f32, 1, c.rows);
  s.output("saved", c.act, c.rows, c.in, c.ld_pad).rounded = !c.centred;
}
void call_norm_fwd(const Case& c, Backend& b, Memory& m) {
  b.norm_fwd({.x = m.mat("x"),
              .w = m.f32("w"),
              .eps = kEps,
              .h = m.mat("h"),
              .rstd = m.f32("rstd"),
              .saved = m.mat("saved"),
              .b = m.f32("b"),
              .centred = c.centred});
}
void bound_layer_norm_fwd(const Case& c, const Memory& twin, Bounds& b) {
  const Mat x = twin.mat("x"), h = twin.mat("h"), w = twin.mat("w"), bias = twin.mat("b");
  for (int64_t m = 0; m < c.rows; m++) {
    const CentredRow row(x, m, 0, c.in);
    for (int64_t i = 0; i < c.in; i++) {
      b.of["h"].push_back(row.error(i, magnitude(w, 0, i)) + (bias ? kF32 * (magnitude(bias, 0, i) + magnitude(h, m, i)) : 0));
      if (c.optional) b.of["saved"].push_back(row.y_off[size_t(i)]);
    }
    if (c.optional) b.of["rstd"].push_back(row.rstd_off * row.rstd);
  }
}
// The sum of squares has no cancellation: its relative error is a sum's, and the root halves it.
void bound_norm_fwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  if (c.centred) return bound_layer_norm_fwd(c, twin, b);
  const double rstd = sum_error(c.in) / 2 + 2 * kF32;
  const Mat h = twin.mat("h");
  b.of["h"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) { return (rstd + 3 * kF32) * magnitude(h, m, i); });
  if (!c.optional) return;
  for (int64_t m = 0; m < c.rows; m++) b.of["rstd"].push_back(rstd * double(twin.f32("rstd")[m]));
  b.of["saved"] = exactly(c, c.in);
}

void define_norm_apply(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("x", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  s.vector("w", r.values(c.in, DType::f32));
  s.vector("rstd", r.values(c.rows, DType::f32, 4));
  if (c.bias) s.vector("b", r.values(c.in, DType::f32));
  s.output("h", c.act, c.rows, c.in, c.ld_pad);
}
void call_norm_apply(const Case&, Backend& b, Memory& m) {
  b.norm_apply({.x = m.mat("x"), .w = m.f32("w"), .rstd = m.f32("rstd"), .h = m.mat("h"), .b = m.f32("b")});
}
void bound_norm_apply(const Case& c, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  const Mat h = twin.mat("h");
  b.of["h"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) {
    return 3 * kF32 * (magnitude(h, m, i) + (c.bias ? 2 * magnitude(twin.mat("b"), 0, i) : 0));
  });
}

void define_norm_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("dh", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  s.input("x", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  s.vector("w", r.values(c.in, DType::f32));
  std::vector<float> rstd = r.values(c.rows, DType::f32);
  for (float& v : rstd) v = 1.5f + v;  // as of rows whose mean square is between 0.2 and 4
  s.vector("rstd", rstd);
  s.in_place("dx", DType::f32, c.rows, c.in, r.values(c.rows * c.in, DType::f32), c.ld_pad);
  if (c.optional) s.output("rounded", c.act, c.rows, c.in, c.ld_pad);
}
void call_norm_bwd(const Case& c, Backend& b, Memory& m) {
  b.norm_bwd({.dh = m.mat("dh"), .x = m.mat("x"), .w = m.f32("w"), .rstd = m.f32("rstd"), .dx = m.mat("dx"), .rounded = m.mat("rounded"), .centred = c.centred});
}
void bound_norm_bwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const Mat dh = twin.mat("dh"), x = twin.mat("x"), w = twin.mat("w"), rstd = twin.mat("rstd");
  for (int64_t m = 0; m < c.rows; m++) {
    const double s = magnitude(rstd, 0, m);
    double mean = 0, mean_g = 0;  // of the magnitudes
    for (int64_t i = 0; i < c.in; i++) {
      mean += magnitude(dh, m, i) * magnitude(w, 0, i) * magnitude(x, m, i) / double(c.in);
      if (c.centred) mean_g += s * magnitude(dh, m, i) * magnitude(w, 0, i) / double(c.in);
    }
    for (int64_t i = 0; i < c.in; i++) {
      const double direct = s * magnitude(dh, m, i) * magnitude(w, 0, i),
                   through_rstd = s * s * s * magnitude(x, m, i) * mean;
      const double before = std::fabs(double(slots.find("dx")->values[size_t(m * c.in + i)]));
      b.of["dx"].push_back(4 * kF32 * direct + (sum_error(c.in) + 6 * kF32) * (through_rstd + mean_g) + 2 * kF32 * before);
      if (c.optional) b.of["rounded"].push_back(b.of["dx"].back());
    }
  }
}

constexpr int64_t kPositions = 37;

// Query heads, alone or among keys and values.
int64_t rope_width(const Case& c) { return (c.heads + (c.layout == HeadLayout::separate ? 0 : 2 * c.kv_heads)) * c.head_dim; }

int64_t rotary_dim(const Case& c) { return c.rotary > 0 ? c.rotary : c.head_dim; }

void define_rope(const Case& c, Slots& s) {
  Random r(c.seed);
  const int64_t half = rotary_dim(c) / 2, width = rope_width(c);
  s.in_place("x", c.act, c.rows, width, r.values(c.rows * width, c.act), c.ld_pad);
  s.ints("positions", indices(r, c.rows, kPositions));
  std::vector<float> cos, sin;
  for (int64_t i = 0; i < kPositions * half; i++) {
    const double angle = 6.3 * r.uniform();
    cos.push_back(float(std::cos(angle)));
    sin.push_back(float(std::sin(angle)));
  }
  s.vector("cos", cos);
  s.vector("sin", sin);
}
void call_rope(const Case& c, Backend& b, Memory& m) { b.rope(rope_args(c, m, m.mat("x"), c.inverse)); }
// Two products and their difference; columns that are not turned stay.
void bound_rope(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  const int64_t half = rotary_dim(c) / 2, width = rope_width(c), group = c.heads / c.kv_heads;
  const auto& x = slots.find("x")->values;
  const Heads heads = rope_args(c, twin, {}, false).x;
  std::vector<int64_t> within(size_t(width), -1);  // place in the head
  for (int64_t h = 0; h < c.heads; h++) {
    for (int64_t d = 0; d < c.head_dim; d++) within[size_t(heads.column(h / group, h % group) + d)] = d;
  }
  b.of["x"] = for_elements(c.rows, width, [&](int64_t m, int64_t i) {
    const int64_t in_head = within[size_t(i)];
    if (in_head < 0 || in_head >= 2 * half) return Bounds::kExact;
    const int64_t pair = c.interleaved ? (in_head % 2 == 0 ? i + 1 : i - 1) : in_head < half ? i + half : i - half;
    const int64_t at = twin.ints("positions")[m] * half + (c.interleaved ? in_head / 2 : in_head % half);
    const double own = std::fabs(double(x[size_t(m * width + i)])), other = std::fabs(double(x[size_t(m * width + pair)]));
    return 3 * kF32 * (own * std::fabs(double(twin.f32("cos")[at])) + other * std::fabs(double(twin.f32("sin")[at])));
  });
}

void define_glu(const Case& c, Slots& s, Random& r) {
  s.input("g", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act, c.size), c.ld_pad);
  if (c.gated) s.input("u", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
}
void define_glu_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  define_glu(c, s, r);
  s.output("a", c.act, c.rows, c.in, c.ld_pad);
}
void call_glu_fwd(const Case& c, Backend& b, Memory& m) {
  b.glu_fwd({.g = m.mat("g"), .u = m.mat("u"), .a = m.mat("a"), .f = c.activation});
}
// 1 / (1 + e^-z): the exponential, a sum and a quotient.
constexpr double kSigmoid = kExp + 2 * kF32;
// Where e^-z overflows f32, the sigmoid is zero: it misses at most e^-88.72.
constexpr double kLostSigmoid = 3e-39;

// How far f(x) and f'(x) may be off, absolutely, and magnitudes of their terms.
struct ActivationError {
  double value, derivative, value_size, derivative_size;
};
// x s with s the sigmoid of z: where z is off by d, s is off by (1 - s) d of itself. f' = s + x s (1 - s) z'; 1 - s carries the absolute error
// of s.
ActivationError sigmoid_error(double x, double z, double slope, double roundings) {
  const double s = 1 / (1 + std::exp(-z)), y = std::fabs(x) * s, z_off = (1 - s) * roundings * kF32 * std::fabs(z);
  const double s_off = kSigmoid * s + s * std::expm1(z_off), rest_off = s_off + kF32 * (1 - s);
  const double relative = kSigmoid + std::expm1(z_off) + (roundings > 0 ? 7 : 2) * kF32;  // of the slope, too
  const double lost = kLostSigmoid * (1 + std::fabs(x) * slope);
  return {(kSigmoid + std::expm1(z_off) + kF32) * y + kLostSigmoid * std::fabs(x),
          s_off + y * slope * (relative * (1 - s) + rest_off) + kF32 * (s + y * slope) + lost, y, s + y * slope};
}
// x Phi(x), by a tail e^(polynomial - a^2) with a relative error of 1.2e-7. The polynomial's terms and partial sums are below 10 in all.
ActivationError gelu_error(double x) {
  const double a2 = x * x / 2, phi = std::erfc(-x / std::sqrt(2)) / 2, tail = std::erfc(std::fabs(x) / std::sqrt(2)) / 2;
  const double squared = 6 * kF32 * a2, density = std::exp(-a2) * 0.4;
  const double phi_off = tail * std::expm1(1.2e-7 + 30 * kF32 + squared + kExp) + kF32 * phi + 1.2e-38, size = phi + std::fabs(x) * density;
  return {std::fabs(x) * phi_off, phi_off + std::fabs(x) * density * std::expm1(squared + kExp + 4 * kF32) + kF32 * size, std::fabs(x) * phi, size};
}
ActivationError activation_error(Activation f, double x) {
  constexpr double kLinear = 1.5957691216057308, kCubic = kLinear * 0.044715;
  switch (f) {
    case Activation::silu: return sigmoid_error(x, x, 1, 0);
    case Activation::gelu: return gelu_error(x);
    case Activation::gelu_tanh: return sigmoid_error(x, x * (kLinear + kCubic * x * x), kLinear + 3 * kCubic * x * x, 6);
    case Activation::relu: return {0, 0, std::fabs(x), 1};
  }
  return {};
}

void bound_glu_fwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  const Mat g = twin.mat("g"), u = twin.mat("u");
  b.of["a"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) {
    const ActivationError e = activation_error(c.activation, double(g.get(m, i)));
    return (e.value + kF32 * e.value_size) * (u ? magnitude(u, m, i) : 1);
  });
}

void define_glu_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("da", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  define_glu(c, s, r);
  Slot& dg = s.output("dg", c.act, c.rows, c.in, c.ld_pad);
  if (c.alias == Alias::dg_is_da) dg.alias = "da";
  if (c.alias == Alias::dg_is_g_and_du_is_u) dg.alias = "g";
  if (!c.gated) return;
  Slot& du = s.output("du", c.act, c.rows, c.in, c.ld_pad);
  if (c.alias == Alias::dg_is_g_and_du_is_u) du.alias = "u";
}
void call_glu_bwd(const Case& c, Backend& b, Memory& m) {
  b.glu_bwd({.da = m.mat("da"), .g = m.mat("g"), .u = m.mat("u"), .dg = m.mat("dg"), .du = m.mat("du"), .f = c.activation});
}
void bound_glu_bwd(const Case& c, const Arithmetic&, const Memory& twin, const Slots&, Bounds& b) {
  const Mat da = twin.mat("da"), g = twin.mat("g"), u = twin.mat("u");
  b.of["dg"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) {
    const ActivationError e = activation_error(c.activation, double(g.get(m, i)));
    return magnitude(da, m, i) * (u ? magnitude(u, m, i) : 1) * (e.derivative + 2 * kF32 * e.derivative_size);
  });
  if (!u) return;
  b.of["du"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) {
    const ActivationError e = activation_error(c.activation, double(g.get(m, i)));
    return (e.value + kF32 * e.value_size) * magnitude(da, m, i);
  });
}

// Copies: exact but for the cast's one rounding.
void define_cast(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("src", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  const bool exact = c.factor == 1 && !c.accumulate;
  if (c.accumulate) s.in_place("dst", c.out, c.rows, c.in, r.values(c.rows * c.in, c.out), c.ld_pad);
  else s.output("dst", c.out, c.rows, c.in, c.ld_pad).rounded = exact;
}
void call_cast(const Case& c, Backend& b, Memory& m) { b.cast({m.mat("src"), m.mat("dst"), c.factor, c.accumulate}); }
void bound_cast(const Case& c, const Arithmetic&, const Memory& twin, const Slots& slots, Bounds& b) {
  b.of["dst"] = exactly(c, c.in);
  if (c.factor == 1 && !c.accumulate) return;
  const Mat src = twin.mat("src");
  const auto& before = slots.find("dst")->values;
  b.of["dst"] = for_elements(c.rows, c.in, [&](int64_t m, int64_t i) {
    const double old = c.accumulate ? std::fabs(double(before[size_t(m * c.in + i)])) : 0;
    return 2 * kF32 * (old + std::fabs(double(c.factor)) * magnitude(src, m, i));
  });
}
void bound_copy(const Case& c, const Arithmetic&, const Memory&, const Slots& slots, Bounds& b) {
  b.of["dst"] = Values(size_t(slots.find("dst")->rows * c.in), Bounds::kExact);
}

void define_gather(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("src", c.act, c.features, c.in, r.values(c.features * c.in, c.act), c.ld_pad);
  s.ints("rows", indices(r, c.rows, c.features));
  s.output("dst", c.act, c.rows, c.in, c.ld_pad).rounded = true;
}
void call_gather(const Case&, Backend& b, Memory& m) { b.gather_rows({m.mat("src"), m.ints("rows"), m.mat("dst")}); }

// features rows of dst; the rows of src replace some of them, each once
void define_scatter(const Case& c, Slots& s) {
  Random r(c.seed);
  s.input("src", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad);
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < c.rows; i++) rows.push_back(int32_t((i * 7 + 3) % c.features));
  s.ints("rows", rows);
  s.in_place("dst", c.act, c.features, c.in, r.values(c.features * c.in, c.act), c.ld_pad).rounded = true;
}
void call_scatter(const Case&, Backend& b, Memory& m) { b.scatter_rows({m.mat("src"), m.ints("rows"), m.mat("dst")}); }

void define_zero(const Case& c, Slots& s) {
  Random r(c.seed);
  s.in_place("dst", c.act, c.rows, c.in, r.values(c.rows * c.in, c.act), c.ld_pad).rounded = true;
}
void call_zero(const Case&, Backend& b, Memory& m) { b.zero({m.mat("dst")}); }

// Bytes: f32 reads and writes of this number of elements
double elements(const Case& c) { return double(c.rows) * double(c.in); }
double act_bytes(const Case& c) { return double(dtype_bytes(c.act)); }
double work_embedding(const Case& c) { return elements(c) * double(dtype_bytes(c.weight) + 4); }
double work_norm_fwd(const Case& c) { return elements(c) * (4 + (c.optional ? 2 : 1) * act_bytes(c)); }
double work_norm_bwd(const Case& c) { return elements(c) * (12 + act_bytes(c)); }
double work_two(const Case& c) { return elements(c) * 2 * act_bytes(c); }
double work_inner(const Case& c) { return double(c.rows * c.heads * c.head_dim) * 3 * act_bytes(c); }
double work_rope(const Case& c) { return double(c.rows * c.heads * c.head_dim) * 2 * act_bytes(c); }
double work_glu_fwd(const Case& c) { return elements(c) * 3 * act_bytes(c); }
double work_glu_bwd(const Case& c) { return elements(c) * 5 * act_bytes(c); }
double work_cast(const Case& c) { return elements(c) * double(dtype_bytes(c.act) + dtype_bytes(c.out)); }

}  // namespace

RopeArgs rope_args(const Case& c, const Memory& m, const Mat& x, bool inverse) {
  const HeadView q = head_views(c.layout, c.heads, c.kv_heads, c.head_dim).q;
  return {.x = {x, q.offset, q.group_stride, q.head_stride},
          .positions = m.ints("positions"),
          .cos = m.f32("cos"),
          .sin = m.f32("sin"),
          .heads = c.heads,
          .groups = c.kv_heads,
          .head_dim = c.head_dim,
          .rotary_dim = rotary_dim(c),
          .inverse = inverse,
          .interleaved = c.interleaved};
}

const std::vector<Operation> kRowOperations = {
    {"embedding_fwd", define_embedding, call_embedding, bound_embedding, work_embedding, true},
    {"embedding_bwd", define_embedding_bwd, call_embedding_bwd, bound_embedding_bwd, work_embedding, true},
    {"norm_fwd", define_norm_fwd, call_norm_fwd, bound_norm_fwd, work_norm_fwd, true},
    {"norm_apply", define_norm_apply, call_norm_apply, bound_norm_apply, work_two, true},
    {"norm_bwd", define_norm_bwd, call_norm_bwd, bound_norm_bwd, work_norm_bwd, true},
    {"inner_norm_fwd", define_inner_norm_fwd, call_inner_norm_fwd, bound_inner_norm_fwd, work_inner, true},
    {"inner_norm_bwd", define_inner_norm_bwd, call_inner_norm_bwd, bound_inner_norm_bwd, work_inner, true},
    {"soft_cap", define_soft_cap, call_soft_cap, bound_soft_cap, work_two, true},
    {"rope", define_rope, call_rope, bound_rope, work_rope, true},
    {"glu_fwd", define_glu_fwd, call_glu_fwd, bound_glu_fwd, work_glu_fwd, true},
    {"glu_bwd", define_glu_bwd, call_glu_bwd, bound_glu_bwd, work_glu_bwd, true},
    {"cast", define_cast, call_cast, bound_cast, work_cast, true},
    {"gather_rows", define_gather, call_gather, bound_copy, work_two, true},
    {"scatter_rows", define_scatter, call_scatter, bound_copy, work_two, true},
    {"zero", define_zero, call_zero, bound_copy, work_two, true},
};

}  // namespace lowrank::test
