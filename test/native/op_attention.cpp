// Operands, calls and bounds of attention.
#include <algorithm>
#include <cmath>

#include "bounds.h"
#include "operations.h"
#include "random.h"
#include "ref/ref_backend.h"

namespace lowrank::test {

namespace {

using Values = std::vector<double>;

const std::vector<int32_t>& key_lengths(const Case& c) { return c.keys.empty() ? c.queries : c.keys; }

std::vector<int32_t> offsets(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> at{0};
  for (const int32_t n : lengths) at.push_back(at.back() + n);
  return at;
}

int32_t longest(const Case& c) { return *std::max_element(key_lengths(c).begin(), key_lengths(c).end()); }

// Of q, k and v: the slot that the view's heads lie in.
std::string slot_of(const Case& c, const HeadView& v) { return c.layout == HeadLayout::separate ? std::string(1, "qkv"[v.linear]) : "qkv"; }

void define_inputs(const Case& c, Slots& s, Random& r) {
  const auto q_offsets = offsets(c.queries), kv_offsets = offsets(key_lengths(c));
  const int64_t m = q_offsets.back(), mk = kv_offsets.back(), q_dim = c.heads * c.head_dim, kv_dim = c.kv_heads * c.head_dim;
  s.ints("q_offsets", q_offsets);
  s.ints("kv_offsets", kv_offsets);
  if (c.bias) s.input("bias", DType::f32, c.heads, longest(c), r.values(c.heads * longest(c), DType::f32, 8));
  if (c.layout != HeadLayout::separate) {
    s.input("qkv", c.act, m, q_dim + 2 * kv_dim, r.values(m * (q_dim + 2 * kv_dim), c.act, c.size), c.ld_pad);
    return;
  }
  s.input("q", c.act, m, q_dim, r.values(m * q_dim, c.act, c.size), c.ld_pad);
  s.input("k", c.act, mk, kv_dim, r.values(mk * kv_dim, c.act, c.size), c.ld_pad);
  s.input("v", c.act, mk, kv_dim, r.values(mk * kv_dim, c.act), c.ld_pad);
}

void define_fwd(const Case& c, Slots& s) {
  Random r(c.seed);
  define_inputs(c, s, r);
  const int64_t m = offsets(c.queries).back(), q_dim = c.heads * c.head_dim;
  s.output("o", c.act, m, q_dim, c.ld_pad);
  if (c.optional) s.output("lse", DType::f32, m, c.heads);
}

void call_fwd(const Case& c, Backend& b, Memory& m) {
  const auto [q, k, v] = attention_heads(c, m);
  b.attention_fwd({.shape = attention_shape(c, m), .q = q, .k = k, .v = v, .o = m.mat("o"), .lse = m.f32("lse")});
}

// o and lse come from the forward pass, o rounded to act.
void define_bwd(const Case& c, Slots& s) {
  Random r(c.seed);
  Slots forward;
  define_inputs(c, forward, r);
  const int64_t m = offsets(c.queries).back(), q_dim = c.heads * c.head_dim, kv_dim = c.kv_heads * c.head_dim;
  forward.output("o", c.act, m, q_dim).rounded = true;
  forward.output("lse", DType::f32, m, c.heads);
  Memory memory(forward, Memory::Kind::twin);
  RefBackend ref;
  call_fwd(c, ref, memory);
  std::vector<float> o, lse;
  for (int64_t row = 0; row < m; row++) {
    for (int64_t i = 0; i < q_dim; i++) o.push_back(memory.mat("o").get(row, i));
    for (int64_t h = 0; h < c.heads; h++) lse.push_back(memory.mat("lse").get(row, h));
  }
  Random again(c.seed);
  define_inputs(c, s, again);
  s.input("o", c.act, m, q_dim, o, c.ld_pad);
  s.input("lse", DType::f32, m, c.heads, lse);
  s.input("d_o", c.act, m, q_dim, r.values(m * q_dim, c.act), c.ld_pad);
  if (c.layout != HeadLayout::separate) {
    s.output("dqkv", c.act, m, q_dim + 2 * kv_dim, c.ld_pad);
    return;
  }
  s.output("dq", c.act, m, q_dim, c.ld_pad);
  s.output("dk", c.act, m, kv_dim, c.ld_pad);
  s.output("dv", c.act, m, kv_dim, c.ld_pad);
}

void call_bwd(const Case& c, Backend& b, Memory& m) {
  const auto [q, k, v] = attention_heads(c, m);
  const auto [dq, dk, dv] = attention_heads(c, m, "d");
  b.attention_bwd({.shape = attention_shape(c, m),
                   .q = q,
                   .k = k,
                   .v = v,
                   .o = m.mat("o"),
                   .d_o = m.mat("d_o"),
                   .lse = m.f32("lse"),
                   .dq = dq,
                   .dk = dk,
                   .dv = dv});
}

struct Sum {
  double value = 0, terms = 0;
};
Sum dot(const Mat& a, int64_t row_a, int64_t col_a, const Mat& b, int64_t row_b, int64_t col_b, int64_t n) {
  Sum s;
  for (int64_t i = 0; i < n; i++) {
    const double t = double(a.get(row_a, col_a + i)) * double(b.get(row_b, col_b + i));
    s.value += t;
    s.terms += std::fabs(t);
  }
  return s;
}

// A score is off by delta, absolutely: the errors of its dot product, its scaling and the subtraction of a maximum or
// lse.
double score_error(const Sum& qk, double scale, double shift, int64_t dim, double cap) {
  return scale * sum_error(dim) * qk.terms + 2 * kF32 * (std::fabs(scale * qk.value) + std::fabs(shift)) + kCap * cap;
}

// The bias of a head's key, by its place in the sequence.
double bias_of(const AttentionShape& s, int64_t h, int64_t key) { return s.bias ? double(s.bias[h * s.bias_ld + key]) : 0; }

// The factor that dropout gives a probability.
double mask_of(const AttentionShape& s, int64_t row, int64_t h, int64_t key) {
  if (!s.dropout.active()) return 1;
  return s.dropout.keep(s.dropout_index(row, s.heads, h, key)) ? 1 / (1 - double(s.dropout.p)) : 0;
}

double capped(double score, double cap) { return cap > 0 ? cap * std::tanh(score / cap) : score; }

// The weights p are off by exp(delta) - 1, relatively, and so is their divisor. o is off by the weighted mean of |v|
// times (own + sum's error + rounding of p as an operand + rounding of the sum); lse by the mean of the deltas.
void bound_fwd(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots&, Bounds& b) {
  const auto [q, k, v] = attention_heads(c, twin);
  const AttentionShape s = attention_shape(c, twin);
  const double operand = arithmetic.chains ? 0 : arithmetic.operand, cap = double(c.cap);
  const int64_t dim = c.head_dim, group = c.heads / c.kv_heads;
  for (int64_t sequence = 0; sequence < s.sequences; sequence++) {
    const int64_t q0 = s.q_offsets[sequence], nq = s.q_offsets[sequence + 1] - q0, k0 = s.kv_offsets[sequence];
    const int64_t nk = s.kv_offsets[sequence + 1] - k0;
    for (int64_t i = 0; i < nq; i++) {
      for (int64_t h = 0; h < c.heads; h++) {
        const int64_t visible = s.visible(i, nq, nk), first = s.hidden(visible), n = visible - first, g = h / group, q_col = q.column(g, h % group);
        std::vector<Sum> scores;
        double top = -1e300, total = 0, sum_off = 0;
        for (int64_t j = 0; j < n; j++) {
          scores.push_back(dot(q.mat, q0 + i, q_col, k.mat, k0 + first + j, k.column(g, 0), dim));
          top = std::max(top, capped(double(s.scale) * scores.back().value, cap) + bias_of(s, h, first + j));
        }
        Values p, off;
        for (int64_t j = 0; j < n; j++) {
          const double bias = bias_of(s, h, first + j);
          p.push_back(std::exp(capped(double(s.scale) * scores[size_t(j)].value, cap) + bias - top));
          // e^x is zero below -87.3.
          off.push_back(p.back() * (std::expm1(score_error(scores[size_t(j)], double(s.scale), top, dim, cap) + 2 * kF32 * std::fabs(bias)) + kExp) + 1.2e-38);
          total += p.back();
          sum_off += off.back();
        }
        sum_off = sum_off / total + sum_error(n);
        if (c.optional) b.of["lse"].push_back(sum_off + kF32 * (std::fabs(top) + std::fabs(std::log(total)) + 1));
        for (int64_t d = 0; d < dim; d++) {
          double error = 0;
          for (int64_t j = 0; j < n; j++) {
            const double weight = p[size_t(j)] / total, value = std::fabs(double(v.mat.get(k0 + first + j, v.column(g, 0) + d)));
            // A weight is rounded again after the mask.
            const double masked = s.dropout.active() ? operand + 2 * kF32 : 0;
            error += mask_of(s, q0 + i, h, first + j) * value * (off[size_t(j)] / total + weight * (sum_off + operand + masked + sum_error(n)) + arithmetic.least);
          }
          b.of["o"].push_back(error);
        }
      }
    }
  }
}

// As above with p = exp(score - lse). p and ds are operands of the second products. The sums over queries go over the
// heads of a group, too.
void bound_bwd(const Case& c, const Arithmetic& arithmetic, const Memory& twin, const Slots&, Bounds& b) {
  const auto [q, k, v] = attention_heads(c, twin);
  const Mat o = twin.mat("o"), d_o = twin.mat("d_o"), lse = twin.mat("lse");
  const AttentionShape s = attention_shape(c, twin);
  const double operand = arithmetic.chains ? 0 : arithmetic.operand, scale = double(s.scale), cap = double(c.cap);
  const int64_t dim = c.head_dim, group = c.heads / c.kv_heads;
  // One and the same where the heads lie in one matrix.
  const HeadViews views = head_views(c.layout, c.heads, c.kv_heads, dim);
  Values &dq = b.of["d" + slot_of(c, views.q)], &dk = b.of["d" + slot_of(c, views.k)], &dv = b.of["d" + slot_of(c, views.v)];
  dq.resize(size_t(q.mat.rows * q.mat.cols));
  dk.resize(size_t(k.mat.rows * k.mat.cols));
  dv.resize(size_t(v.mat.rows * v.mat.cols));
  for (int64_t sequence = 0; sequence < s.sequences; sequence++) {
    const int64_t row0 = s.q_offsets[sequence], n = s.q_offsets[sequence + 1] - row0;
    const double sum_keys = sum_error(n), sum_queries = sum_error(n * group);
    for (int64_t h = 0; h < c.heads; h++) {
      const int64_t g = h / group, o_col = h * dim, q_col = q.column(g, h % group), k_col = k.column(g, 0), v_col = v.column(g, 0);
      for (int64_t i = 0; i < n; i++) {
        const Sum delta = dot(d_o, row0 + i, o_col, o, row0 + i, o_col, dim);
        const int64_t visible = s.visible(i, n, n);
        for (int64_t j = s.hidden(visible); j < visible; j++) {
          const Sum score = dot(q.mat, row0 + i, q_col, k.mat, row0 + j, k_col, dim);
          Sum dp = dot(d_o, row0 + i, o_col, v.mat, row0 + j, v_col, dim);
          const double mask = mask_of(s, row0 + i, h, j);
          dp.value *= mask;
          dp.terms *= mask * (1 + 2 * kF32);
          const double bias = bias_of(s, h, j), value = capped(scale * score.value, cap) + bias, share = cap > 0 ? value / cap : 0, slope = 1 - share * share;
          const double shift = double(lse.get(row0 + i, h)), p = std::exp(value - shift),
                       off = score_error(score, scale, shift, dim, cap) + 2 * kF32 * std::fabs(bias);
          const double p_off = p * (std::expm1(off) + kExp) + 1.2e-38;
          const double ds = scale * p * std::fabs(dp.value - delta.value) * slope;
          // The slope is off by twice the share's error.
          const double slope_off = cap > 0 ? 2 * off / cap + 4 * kF32 : 0;
          const double ds_off =
              scale * ((p_off + p * slope_off) * std::fabs(dp.value - delta.value) +
                       p * (sum_error(dim) * (dp.terms + delta.terms) + 3 * kF32 * std::fabs(dp.value - delta.value)));
          for (int64_t d = 0; d < dim; d++) {
            const auto at = [&](int64_t row, int64_t col, int64_t width) { return size_t((row0 + row) * width + col + d); };
            dq[at(i, q_col, q.mat.cols)] +=
                std::fabs(double(k.mat.get(row0 + j, k_col + d))) * (ds_off + ds * (operand + sum_keys) + scale * arithmetic.least);
            dk[at(j, k_col, k.mat.cols)] +=
                std::fabs(double(q.mat.get(row0 + i, q_col + d))) * (ds_off + ds * (operand + sum_queries) + scale * arithmetic.least);
            dv[at(j, v_col, v.mat.cols)] +=
                mask * std::fabs(double(d_o.get(row0 + i, o_col + d))) * (p_off + p * (operand + 2 * kF32 + sum_queries) + arithmetic.least);
          }
        }
      }
    }
  }
}

// The pairs that the mask leaves; of a window, too many.
double pairs(const Case& c) {
  double sum = 0;
  for (size_t s = 0; s < c.queries.size(); s++) {
    const double nq = c.queries[s], nk = key_lengths(c)[s];
    sum += c.causal ? nq * (nk - nq) + nq * (nq + 1) / 2 : nq * nk;
  }
  return sum * double(c.heads * c.head_dim);
}
double work_fwd(const Case& c) { return 2 * pairs(c); }
double work_bwd(const Case& c) { return 5 * pairs(c); }

}  // namespace

AttentionHeads attention_heads(const Case& c, const Memory& m, const std::string& prefix) {
  const HeadViews views = head_views(c.layout, c.heads, c.kv_heads, c.head_dim);
  const auto heads = [&](const HeadView& v) { return Heads{m.mat(prefix + slot_of(c, v)), v.offset, v.group_stride, v.head_stride}; };
  return {heads(views.q), heads(views.k), heads(views.v)};
}

AttentionShape attention_shape(const Case& c, const Memory& m) {
  return {.heads = c.heads,
          .kv_heads = c.kv_heads,
          .head_dim = c.head_dim,
          .scale = 1.f / std::sqrt(float(c.head_dim)),
          .q_offsets = m.ints("q_offsets"),
          .kv_offsets = m.ints("kv_offsets"),
          .sequences = int64_t(c.queries.size()),
          .window = c.window,
          .soft_cap = c.cap,
          .causal = c.causal,
          .bias = m.f32("bias"),
          .bias_ld = c.bias ? longest(c) : 0,
          .dropout = c.dropout};
}

const std::vector<Operation> kAttentionOperations = {
    {"attention_fwd", define_fwd, call_fwd, bound_fwd, work_fwd, false},
    {"attention_bwd", define_bwd, call_bwd, bound_bwd, work_bwd, false},
};

}  // namespace lowrank::test
