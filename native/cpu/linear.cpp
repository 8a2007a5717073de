// Linears with and without an adapter, over the matrix product driver.
#include <algorithm>
#include <span>

#include "cpu/cpu_backend.h"
#include "cpu/matmul.h"

namespace lowrank::cpu {

namespace {

// Linears of one input: q, k and v.
constexpr int kMostAdapters = 3;

Mat columns(const Mat& x, int64_t first, int64_t n) { return Mat(x.row(0) + first * dtype_bytes(x.dtype), x.dtype, x.rows, n, x.ld); }

// The parts of the workspace; offsets in bytes.
struct Parts {
  int64_t dropped, du, du_bytes, thin, thin_ld, sums, matmul, end;
};

Parts parts(const OpLimits& l, int64_t int8_bytes, int threads) {
  const int64_t act = dtype_bytes(l.act), r = l.rank;
  // Terms of a product: features and the adapter's rank, when training of several linears; the adapters' gradients contract over
  // tokens.
  const int64_t features = (l.training ? kMostAdapters : 1) * (round_up(l.features, kPanelStep) + round_up(r, kPanelStep));
  const int64_t contraction = std::max(features, l.training ? l.tokens : 0);
  Parts p{};
  const auto take = [&](int64_t bytes) {
    const int64_t at = p.end;
    p.end += round_up(bytes, 64);
    return at;
  };
  p.dropped = take(l.dropout && l.training ? l.tokens * l.features * act : 0);
  p.du_bytes = round_up(l.training ? l.tokens * r * act : 0, 64);
  p.du = take(kMostAdapters * p.du_bytes);
  p.thin_ld = round_up(l.tokens, kPanelStep);
  p.thin = take(l.training ? kMostAdapters * r * p.thin_ld * act : 0);
  p.sums = take(l.training ? kMostAdapters * r * l.features * 4 : 0);
  p.matmul = take(std::max(int8_bytes, Matmul::workspace_bytes(contraction, features, threads)));  // one product at a time
  return p;
}

Term along_columns(const Mat& x, const Weight& w) { return {x, w.stored(), w.transposed ? Along::rows : Along::columns}; }
Term along_rows(const Mat& x, const Weight& w) { return {x, w.stored(), w.transposed ? Along::columns : Along::rows}; }
Weight weight(const float* p, int64_t rows, int64_t cols) { return {.data = p, .rows = rows, .cols = cols}; }
// A gradient or activation as the right operand of a contraction over tokens.
Term over_tokens(const Mat& x, const Mat& right) {
  return {x, {.data = right.data, .format = format_of(right.dtype), .rows = right.rows, .cols = right.ld}, Along::rows};
}

}  // namespace

int64_t CpuBackend::linear_workspace(const OpLimits& l, int threads, const InstructionSet& isa) {
  return parts(l, int8_workspace(l, threads, isa), threads).end;
}

void CpuBackend::apply_dropout(const Mat& x, const Dropout& d, const Mat& y) {
  pool_.run(x.rows, [&](int64_t m, int) { rk_.dropout(x.row(m), x.cols, x.dtype, d, uint64_t(m * x.cols), y.row(m)); });
}

// dst (R, M padded) = x (M, R) transposed
void CpuBackend::transpose_thin(const Mat& x, const Mat& dst) {
  constexpr int64_t kRows = 256;
  pool_.run((x.rows + kRows - 1) / kRows, [&](int64_t task, int) {
    const int64_t m = task * kRows, n = std::min(kRows, x.rows - m);
    if (x.dtype == DType::f32) {
      k_.transpose_32(reinterpret_cast<const uint32_t*>(x.row(m)), x.ld, n, x.cols, static_cast<uint32_t*>(dst.data) + m, dst.ld);
    } else {
      k_.transpose_16(reinterpret_cast<const uint16_t*>(x.row(m)), x.ld, n, x.cols, static_cast<uint16_t*>(dst.data) + m, dst.ld);
    }
  });
}

void CpuBackend::do_linear_fwd(const LinearFwdArgs& a) {
  if (!a.same_x) rounded_ = {};
  const Parts p = parts(limits_, int8_workspace(limits_, pool_.threads(), isa_), pool_.threads());
  const Matmul matmul(pool_, isa_, work_ + p.matmul, p.end - p.matmul, &coming_);
  Product y{.terms = {along_columns(a.x, a.w)}, .term_count = 1, .n = a.w.rows, .bias = a.bias, .out = a.y, .accumulate = a.accumulate, .together = a.together};
  if (a.lora) {
    const Lora& l = *a.lora;
    Mat x = a.x;
    int64_t undropped = 0;
    if (l.dropout.active()) {
      x = Mat(work_ + p.dropped, a.x.dtype, a.x.rows, a.x.cols);
      apply_dropout(a.x, l.dropout, x);
      undropped = l.undropped;
    }
    const auto through_a = [&](const Mat& of, int64_t first, int64_t rows) {
      matmul({.terms = {along_columns(of, weight(l.a + first * a.w.cols, rows, a.w.cols))}, .n = rows, .alpha = l.scale, .out = columns(a.u, first, rows), .together = a.together});
    };
    through_a(x, 0, l.rank - undropped);
    if (undropped > 0) through_a(a.x, l.rank - undropped, undropped);
    y.terms[1] = along_columns(a.u, weight(l.b, a.w.rows, l.rank));
    y.term_count = 2;
  }
  if (a.w.outlier_threshold > 0) {
    int8_fwd(a, work_ + p.matmul, p.end - p.matmul);
    return;
  }
  if (a.gate) {
    y.swiglu = Swiglu::forward;
    y.gate = a.gate;
    y.other = a.a;
  }
  matmul(y);
}

// dx += the mask's part of du A.
void CpuBackend::add_masked(const LinearBwdArgs& a, const Adapted& adapted, const Matmul& matmul) {
  const Lora& lora = *adapted.linear->lora;
  const Mat scratch(work_ + parts(limits_, int8_workspace(limits_, pool_.threads(), isa_), pool_.threads()).dropped, a.dy.dtype, a.dy.rows, a.w.cols);
  matmul({.terms = {along_rows(adapted.du, weight(lora.a, adapted.du.cols, a.w.cols))}, .n = a.w.cols, .out = scratch});
  pool_.run(a.dx.rows, [&](int64_t i, int) {
    rk_.add_dropout(scratch.row(i), a.w.cols, scratch.dtype, lora.dropout, uint64_t(i * a.w.cols), a.dx.dtype, a.dx.row(i));
  });
}

void CpuBackend::do_linear_bwd(const LinearBwdArgs& a) {
  rounded_ = {};
  const Parts p = parts(limits_, int8_workspace(limits_, pool_.threads(), isa_), pool_.threads());
  const Matmul matmul(pool_, isa_, work_ + p.matmul, p.end - p.matmul);
  Product dx{.terms = {}, .term_count = 0, .n = a.w.cols, .out = a.dx, .accumulate = a.accumulate};
  const auto add = [&](const Term& term) {
    dx.terms[dx.term_count++] = term;
    if (dx.term_count < Product::kMostTerms) return;
    matmul(dx);
    dx.term_count = 0;
    dx.accumulate = true;
  };
  Adapted adapted[2 * kMostAdapters];
  int count = 0, adapters = 0;
  const bool in_codes = a.dx && a.w.gradient_codes != GradientCodes::none;
  for (const LinearBwdArgs* l = &a; l; l = l->also) {
    Mat du;
    const bool masked = l->lora && l->lora->dropout.active();
    const int64_t rank = l->lora ? l->lora->rank : 0, undropped = masked ? l->lora->undropped : 0, dropped = rank - undropped;
    if (l->lora) {
      check(adapters < kMostAdapters, "too many adapters of one input", "linear_bwd");
      du = Mat(work_ + p.du + adapters++ * p.du_bytes, l->dy.dtype, l->dy.rows, rank);
      adapter_bwd(*l, matmul, du);
      adapted[count++] = {l, columns(du, 0, dropped), 0, masked};
      if (undropped > 0) adapted[count++] = {l, columns(du, dropped, undropped), dropped, false};
    }
    if (!a.dx || in_codes) continue;
    add(along_rows(l->dy, l->w));
    if (!l->lora) continue;
    const Term through_a = along_rows(columns(du, 0, dropped), weight(l->lora->a, dropped, a.w.cols));
    if (undropped > 0) add(along_rows(columns(du, dropped, undropped), weight(l->lora->a + dropped * a.w.cols, undropped, a.w.cols)));
    if (!masked) {
      add(through_a);
      continue;
    }
    // The mask stands between the two terms.
    if (dx.term_count > 0) matmul(dx);
    dx.term_count = 0;
    dx.accumulate = true;
    add_masked(a, adapted[count - (undropped > 0 ? 2 : 1)], matmul);
  }
  if (in_codes) {
    const std::span<const Adapted> all(adapted, size_t(count));
    int8_bwd(a, all, work_ + p.matmul, p.end - p.matmul);
    bool masked = false;
    for (const Adapted& l : all) {
      if (l.masked) add_masked(a, l, matmul);
      masked = masked || l.masked;
    }
    if (a.gate && masked) do_glu_bwd({a.dx, a.gate, a.up, a.gate, a.up});
  }
  if (a.gate && dx.term_count > 0) {
    dx.swiglu = Swiglu::backward;
    dx.gate = a.gate;
    dx.other = a.up;
  }
  if (a.dx && dx.term_count > 0) matmul(dx);
  if (a.gate && dx.term_count == 0 && !in_codes) do_glu_bwd({a.dx, a.gate, a.up, a.gate, a.up});
  // Without masks all adapters read the same x: their da is one product.
  const bool masked = std::any_of(adapted, adapted + count, [](const Adapted& l) { return l.masked; });
  const int together = masked ? 1 : std::max(count, 1);
  for (int i = 0; i < count; i += together) gradients_of_a(std::span(adapted + i, size_t(together)), matmul);
}

// du and db of one linear.
void CpuBackend::adapter_bwd(const LinearBwdArgs& a, const Matmul& matmul, const Mat& du) {
  const Parts p = parts(limits_, int8_workspace(limits_, pool_.threads(), isa_), pool_.threads());
  const Lora& l = *a.lora;
  const int64_t m = a.dy.rows, out = a.w.rows, r = l.rank;
  const Mat thin(work_ + p.thin, a.dy.dtype, r, m, p.thin_ld), db(work_ + p.sums, DType::f32, r, out);

  // du = scale * dy B
  matmul({.terms = {along_rows(a.dy, weight(l.b, out, r))}, .n = r, .alpha = l.scale, .out = du});

  // db += dy^T u, computed as its transpose: the thin operand stands left
  transpose_thin(a.u, thin);
  matmul({.terms = {over_tokens(thin, a.dy)}, .n = out, .out = db});
  constexpr int64_t kOutputs = 128;
  pool_.run((out + kOutputs - 1) / kOutputs, [&](int64_t task, int) {
    for (int64_t o = task * kOutputs; o < std::min(out, (task + 1) * kOutputs); o++) {
      for (int64_t i = 0; i < r; i++) l.db[o * r + i] += static_cast<const float*>(db.data)[i * out + o];
    }
  });
}

// da += du^T dropout(x) of linears of one x, with the same mask or none: their du stand one above the other, x is packed once.
void CpuBackend::gradients_of_a(std::span<const Adapted> linears, const Matmul& matmul) {
  const Parts p = parts(limits_, int8_workspace(limits_, pool_.threads(), isa_), pool_.threads());
  const LinearBwdArgs& first = *linears[0].linear;
  const int64_t m = first.dy.rows, in = first.w.cols;
  int64_t ranks = 0;
  for (const Adapted& l : linears) ranks += l.du.cols;
  const DType act = first.dy.dtype;
  Mat x = first.x;
  if (linears[0].masked) {
    x = Mat(work_ + p.dropped, act, m, in);
    apply_dropout(first.x, first.lora->dropout, x);
  }
  const Mat thin(work_ + p.thin, act, ranks, m, p.thin_ld), sums(work_ + p.sums, DType::f32, ranks, in);
  int64_t begin = 0;
  for (const Adapted& l : linears) {
    check(l.linear->x.data == first.x.data, "adapters of one input", "linear_bwd");
    transpose_thin(l.du, thin.slice(begin, l.du.cols));
    begin += l.du.cols;
  }
  matmul({.terms = {over_tokens(thin, x)}, .n = in, .out = sums});
  pool_.run(ranks, [&](int64_t row, int) {
    int64_t own = row;
    size_t i = 0;
    for (; own >= linears[i].du.cols; i++) own -= linears[i].du.cols;
    float* const da = linears[i].linear->lora->da + (linears[i].first + own) * in;
    rk_.epilogue(reinterpret_cast<const float*>(sums.row(row)), 1, nullptr, in, DType::f32, true, da);
  });
}

}  // namespace lowrank::cpu
