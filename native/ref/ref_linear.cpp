#include <algorithm>
#include <cmath>
#include <vector>

#include "ref/ref_backend.h"

namespace lowrank {

double ref_round(double v, DType t) {
  char element[4];
  store_f32(element, t, 0, float(v));
  return double(load_f32(element, t, 0));
}

std::vector<double> ref_weight(const Weight& w) {
  std::vector<double> values(size_t(w.rows * w.cols));
  for (int64_t r = 0; r < w.rows; r++) {
    for (int64_t c = 0; c < w.cols; c++) values[size_t(r * w.cols + c)] = double(w.get(r, c));
  }
  return values;
}

double ref_dropout(double x, const Dropout& d, uint64_t i, DType t) {
  if (!d.active()) return x;
  return d.keep(i) ? ref_round(double(float(x) * (1.f / (1.f - d.p))), t) : 0.0;
}

static Dropout dropout_of(const Lora& l, int64_t r) { return r < l.rank - l.undropped ? l.dropout : Dropout(); }

RefInt8 ref_int8(const Mat& x, float threshold) {
  RefInt8 r{std::vector<double>(size_t(x.rows * x.cols)), std::vector<double>(size_t(x.rows)), std::vector<bool>(size_t(x.cols))};
  const auto half = [&](int64_t m, int64_t i) { return f16_to_f32(f32_to_f16(x.get(m, i))); };
  for (int64_t m = 0; m < x.rows; m++) {
    for (int64_t i = 0; i < x.cols; i++) {
      const float magnitude = std::fabs(half(m, i));
      if (magnitude < threshold) r.maxima[size_t(m)] = std::max(r.maxima[size_t(m)], double(magnitude));
      else r.outliers[size_t(i)] = true;
    }
  }
  // Codes are computed in f32, for every tie counts.
  for (int64_t m = 0; m < x.rows; m++) {
    const float factor = int8_factor(float(r.maxima[size_t(m)]));
    for (int64_t i = 0; i < x.cols; i++) {
      if (!r.outliers[size_t(i)]) r.codes[size_t(m * x.cols + i)] = double(std::nearbyint(half(m, i) * factor));
    }
  }
  return r;
}

RefGradient ref_gradient(const Mat& dy, const Weight& w, const Dropout& numbers) {
  RefGradient r{std::vector<double>(size_t(dy.rows * dy.cols)), std::vector<double>(size_t(dy.rows))};
  const auto folded = [&](int64_t m, int64_t o) { return dy.get(m, o) * w.row_maximum(o); };
  // In f32, for every tie counts.
  for (int64_t m = 0; m < dy.rows; m++) {
    float maximum = 0;
    for (int64_t o = 0; o < dy.cols; o++) maximum = std::max(maximum, std::fabs(folded(m, o)));
    r.maxima[size_t(m)] = double(maximum);
    for (int64_t o = 0; o < dy.cols; o++) {
      const uint64_t index = uint64_t(m * dy.cols + o);
      const bool by_chance = w.gradient_codes == GradientCodes::stochastic;
      const float noise = by_chance ? uniform01(philox_word(numbers.seed, numbers.stream, numbers.offset + index)) - 0.5f : 0.f;
      const float code = std::fma(folded(m, o), gradient_factor(maximum), noise);
      r.codes[size_t(index)] = std::clamp(std::nearbyint(double(code)), -127.0, 127.0);
    }
  }
  return r;
}

double ref_int8_code(const Weight& w, int64_t r, int64_t c) { return reinterpret_cast<const int8_t*>(w.row(r))[c]; }

void RefBackend::do_linear_fwd(const LinearFwdArgs& a) {
  const int64_t in = a.w.cols, out = a.w.rows;
  const bool rounds = a.w.outlier_threshold > 0;
  const RefInt8 rounded = rounds ? ref_int8(a.x, a.w.outlier_threshold) : RefInt8();
  const std::vector<double> w = ref_weight(a.w);
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t r = 0; a.lora && r < a.lora->rank; r++) {
      double sum = 0;
      for (int64_t i = 0; i < in; i++) {
        sum += ref_dropout(a.x.get(m, i), dropout_of(*a.lora, r), uint64_t(m * in + i), a.x.dtype) * double(a.lora->a[r * in + i]);
      }
      a.u.set(m, r, float(double(a.lora->scale) * sum));
    }
    for (int64_t o = 0; o < out; o++) {
      double sum = a.accumulate ? double(a.y.get(m, o)) : 0.0;
      double codes = 0;
      for (int64_t i = 0; i < in; i++) {
        if (rounds && !rounded.outliers[size_t(i)]) codes += rounded.codes[size_t(m * in + i)] * ref_int8_code(a.w, o, i);
        else sum += double(a.x.get(m, i)) * w[size_t(o * in + i)];
      }
      if (rounds) sum += codes * rounded.maxima[size_t(m)] * double(a.w.row_maximum(o)) * double(kInt8ProductStep);
      if (a.bias) sum += double(a.bias[o]);
      for (int64_t r = 0; a.lora && r < a.lora->rank; r++)
        sum += double(a.u.get(m, r)) * double(a.lora->b[o * a.lora->rank + r]);
      a.y.set(m, o, float(sum));
    }
  }
  if (a.gate) do_glu_fwd({a.gate, a.y, a.a});
}

// y = x W^T + u B^T with u = s dropout(x) A^T, L a function of y and dy = dL/dy:
//   dL/du = dy B; through u: dL/d(x A^T) = s dy B = du, so that da = du^T dropout(x), dropout(x)' = du A;  db = dy^T u.
void RefBackend::do_linear_bwd(const LinearBwdArgs& a) {
  if (a.gate) {
    LinearBwdArgs product = a;
    product.gate = product.up = Mat();
    do_linear_bwd(product);
    do_glu_bwd({a.dx, a.gate, a.up, a.gate, a.up});
    return;
  }
  if (a.also) {  // one after the other
    LinearBwdArgs first = a, rest = *a.also;
    first.also = nullptr;
    do_linear_bwd(first);
    rest.dx = a.dx;
    rest.accumulate = true;
    do_linear_bwd(rest);
    return;
  }
  const int64_t tokens = a.dy.rows, in = a.w.cols, out = a.w.rows, rank = a.lora ? a.lora->rank : 0;
  std::vector<double> du(static_cast<size_t>(tokens * rank));
  for (int64_t m = 0; m < tokens; m++) {
    for (int64_t r = 0; r < rank; r++) {
      double sum = 0;
      for (int64_t o = 0; o < out; o++) sum += double(a.dy.get(m, o)) * double(a.lora->b[o * rank + r]);
      du[size_t(m * rank + r)] = ref_round(double(a.lora->scale) * sum, a.dy.dtype);
    }
  }
  const bool in_codes = a.dx && a.w.gradient_codes != GradientCodes::none;
  const RefGradient gradient = in_codes ? ref_gradient(a.dy, a.w, a.numbers) : RefGradient();
  const std::vector<double> w = a.dx ? ref_weight(a.w) : std::vector<double>();
  for (int64_t m = 0; a.dx && m < tokens; m++) {
    for (int64_t i = 0; i < in; i++) {
      double sum = a.accumulate ? double(a.dx.get(m, i)) : 0.0, codes = 0;
      for (int64_t o = 0; o < out; o++) {
        if (in_codes) codes += gradient.codes[size_t(m * out + o)] * ref_int8_code(a.w, o, i);
        else sum += double(a.dy.get(m, o)) * w[size_t(o * in + i)];
      }
      if (in_codes) sum += codes * gradient.maxima[size_t(m)] * double(kGradientStep);
      for (int64_t r = 0; r < rank; r++) {
        const double through_a = du[size_t(m * rank + r)] * double(a.lora->a[r * in + i]);
        const Dropout dropout = dropout_of(*a.lora, r);
        if (dropout.keep(uint64_t(m * in + i))) sum += through_a / (1 - double(dropout.p));
      }
      a.dx.set(m, i, float(sum));
    }
  }
  for (int64_t o = 0; o < out; o++) {
    for (int64_t r = 0; r < rank; r++) {
      double sum = 0;
      for (int64_t m = 0; m < tokens; m++) sum += double(a.dy.get(m, o)) * double(a.u.get(m, r));
      a.lora->db[o * rank + r] = float(double(a.lora->db[o * rank + r]) + sum);
    }
  }
  for (int64_t r = 0; r < rank; r++) {
    for (int64_t i = 0; i < in; i++) {
      double sum = 0;
      for (int64_t m = 0; m < tokens; m++) {
        sum += du[size_t(m * rank + r)] * ref_dropout(a.x.get(m, i), dropout_of(*a.lora, r), uint64_t(m * in + i), a.x.dtype);
      }
      a.lora->da[r * in + i] = float(double(a.lora->da[r * in + i]) + sum);
    }
  }
}

}  // namespace lowrank
