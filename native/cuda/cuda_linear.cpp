// Linears and the head: decoded weights, products of the device, and kernels that round once.
#include <algorithm>

#include "cuda/cuda_backend.h"

namespace lowrank::cuda {

namespace {

Mat columns(const Mat& x, int64_t first, int64_t n) { return Mat(x.row(0) + first * dtype_bytes(x.dtype), x.dtype, x.rows, n, x.ld); }

// f(first, count) for parts of at most `most`.
template <class F>
void in_parts(int64_t n, int64_t most, F&& f) {
  for (int64_t first = 0; first < n; first += most) f(first, std::min(most, n - first));
}

}  // namespace

int64_t CudaBackend::weight_rows_at_a_time(const Weight& w) const {
  if (!is_decoded(w)) return w.rows;
  // Where there are several parts, the columns of results begin at 128 bytes.
  const int64_t most = std::clamp<int64_t>(work_.decoded / w.cols, 1, w.rows);
  return most < w.rows && most >= 64 ? most / 64 * 64 : most;
}

CudaBackend::WeightRows CudaBackend::weight_rows(const Weight& w, int64_t first, int64_t rows, int64_t further) const {
  if (!is_decoded(w)) {
    const Weight stored = w.stored();
    const Mat all(const_cast<void*>(w.data), limits_.act, stored.rows, stored.cols, stored.cols + stored.spare);
    return {w.transposed ? columns(all, first, rows) : all.slice(first, rows), w.transposed};
  }
  check(rows * w.cols <= work_.decoded && further <= work_.border && (further == 0 || rows <= limits_.features), "a weight to decode beyond the limits", "linear");
  const Mat out(memory_ + work_.weight, limits_.act, rows, w.cols, w.cols + further);
  kernels::decode(w, first, out, tables_, stream_);
  return {out, false};
}

Mat CudaBackend::as_act(const float* values, int64_t rows, int64_t cols, int64_t offset) const {
  const Mat from(const_cast<float*>(values), DType::f32, rows, cols);
  if (limits_.act == DType::f32) return from;
  const Mat to = scratch(offset, limits_.act, rows, cols);
  kernels::cast({from, to}, stream_);
  return to;
}

void CudaBackend::product(const Mat& x, const Weight& w, int64_t first, const Mat& y, bool accumulates) const {
  if (kernels::takes_few_rows(x, w)) return kernels::few_rows(x, w, first, y, accumulates, tables_, stream_);
  const WeightRows rows = weight_rows(w, first, y.cols);
  product(x, rows.mat, !rows.transposed, y, accumulates);
}
void CudaBackend::product_bwd(const Mat& dy, const WeightRows& w, const Mat& dx, bool accumulates) const {
  product(dy, w.mat, w.transposed, dx, accumulates);
}

void CudaBackend::product(const Mat& a, const Mat& b, bool transposes_b, const Mat& c, bool accumulates, float alpha) const {
  device_->product({.a = a, .b = b, .c = c, .transposes_b = transposes_b, .alpha = alpha, .accumulates = accumulates});
}

Mat CudaBackend::dropped_rows(const Mat& x, const Dropout& d, int64_t first) const {
  if (!d.active()) return x;
  const Mat out = scratch(work_.dropped, x.dtype, x.rows, x.cols);
  kernels::dropout(x, out, d, first, stream_);
  return out;
}

bool CudaBackend::is_bordered(const LinearFwdArgs& a, const Mat& x) const {
  if (!switches_.bordered || !a.lora) return false;
  const bool has_room = is_decoded(a.w) || (!a.w.transposed && bordered_cols(x.cols, a.lora->rank) <= x.cols + a.w.spare);
  if (!has_room || a.w.outlier_threshold > 0 || kernels::takes_few_rows(x, a.w)) return false;
  // It saves that a sum is written and read once more, and costs a copy of x.
  const bool in_f32 = a.y.dtype == DType::f32 || a.bias || a.accumulate || switches_.sums_in_f32;
  return is_copied(x) || pays_for_copy(x.dtype, x.cols, in_f32 ? DType::f32 : x.dtype, a.w.rows);
}

Mat CudaBackend::with_columns(const Mat& x, const Mat& u) {
  const int64_t cols = bordered_cols(x.cols, u.cols);
  const Mat all(memory_ + work_.bordered, x.dtype, x.rows, cols, bordered_cols(x.cols, limits_.rank));
  if (!is_copied(x)) kernels::cast({x, columns(all, 0, x.cols)}, stream_);
  copied_ = x;
  kernels::pad_columns(u, columns(all, x.cols, cols - x.cols), stream_);
  return all;
}

Mat CudaBackend::with_columns(const Weight& w, const Lora& l, int64_t first, int64_t rows) const {
  const int64_t cols = bordered_cols(w.cols, l.rank), further = cols - w.cols;
  const Mat own = weight_rows(w, first, rows, further).mat, all(own.data, own.dtype, rows, cols, own.ld);
  const Mat b(const_cast<float*>(l.b) + first * l.rank, DType::f32, rows, l.rank);
  kernels::pad_columns(b, columns(all, w.cols, further), stream_);
  return all;
}

kernels::Outliers CudaBackend::outliers() const {
  return {scratch<float>(work_.maxima), scratch<int32_t>(work_.is_outlier), scratch<int32_t>(work_.outlier_columns)};
}

void CudaBackend::enqueue_linear_fwd(const LinearFwdArgs& a) {
  if (a.w.outlier_threshold > 0) {
    constexpr int64_t kMostCodes = INT32_MAX / (127 * 127);  // whose products' sum is a number of 32 bits
    check(a.x.cols <= kMostCodes && a.w.format == Format::i8 && a.w.interleaved == 0 && a.w.absmax, "weight", "linear_fwd");
    kernels::zero({scratch(work_.is_outlier, DType::f32, 1, a.x.cols)}, stream_);
    kernels::find_outliers(a.x, a.w.outlier_threshold, outliers(), stream_);
  }
  if (!a.same_x) copied_ = {};
  in_parts(a.x.rows, work_.rows, [&](int64_t first, int64_t rows) { rows_fwd(a, first, rows); });
  if (a.gate) kernels::glu_fwd({a.gate, a.y, a.a}, stream_);
}

void CudaBackend::rows_fwd(const LinearFwdArgs& a, int64_t first, int64_t rows) {
  const DType act = limits_.act;
  const Mat y = a.y.slice(first, rows);
  const Mat x = a.x.slice(first, rows);
  const bool bordered = is_bordered(a, x);
  Mat u, b, both, some;
  if (a.lora) {
    const Lora& l = *a.lora;
    u = a.u.slice(first, rows);
    const Mat lora_a = as_act(l.a, l.rank, a.x.cols, work_.a);
    const int64_t undropped = l.dropout.active() ? l.undropped : 0, dropped = l.rank - undropped;
    product(dropped_rows(x, l.dropout, first), lora_a.slice(0, dropped), true, columns(u, 0, dropped), false, l.scale);
    if (undropped > 0) product(x, lora_a.slice(dropped, undropped), true, columns(u, dropped, undropped), false, l.scale);
    if (bordered) both = with_columns(x, u);
    else b = as_act(l.b, a.w.rows, l.rank, work_.b);
  }
  const bool rounds = a.w.outlier_threshold > 0;
  int8_t* const codes = scratch<int8_t>(work_.codes);
  if (rounds) {
    some = scratch(work_.outliers, act, x.cols, Workspace::outlier_rows(rows));
    kernels::round_to_codes(x, scratch<float>(work_.maxima) + first, outliers(), codes, some, stream_);
  }
  // f32 results are the sums themselves; others are sums of one product, or of the adapter's and then the weight's, or are rounded from sums in f32.
  const bool in_place = y.dtype == DType::f32 && !rounds, no_other_term = !in_place && !a.bias && !a.accumulate && !rounds;
  const bool begins_with_adapter = no_other_term && a.lora && !bordered && !switches_.sums_in_f32;
  const bool alone = in_place || begins_with_adapter || (no_other_term && (bordered || !a.lora));
  int64_t at_a_time = weight_rows_at_a_time(a.w);
  if (!alone) at_a_time = std::min(at_a_time, limits_.features);
  in_parts(a.w.rows, at_a_time, [&](int64_t o, int64_t n) {
    const Mat to = columns(y, o, n), sums = alone ? to : scratch(work_.sums, DType::f32, rows, n);
    if (begins_with_adapter) product(u, b.slice(o, n), true, to, false);
    if (rounds) kernels::add_up_outliers(some, a.w, o, outliers(), scratch(work_.weight, act, x.cols, n), sums, stream_);
    else if (bordered) product(both, with_columns(a.w, *a.lora, o, n), true, sums, in_place && a.accumulate);
    else product(x, a.w, o, sums, begins_with_adapter || (in_place && a.accumulate));
    if (a.lora && !bordered && !begins_with_adapter) product(u, b.slice(o, n), true, sums, true);
    kernels::Finish f{.sums = sums, .y = to, .bias = a.bias ? a.bias + o : nullptr, .accumulate = a.accumulate && !in_place};
    if (rounds) {
      const CodeProduct p{codes, static_cast<const int8_t*>(a.w.data) + o * x.cols, scratch<int32_t>(work_.code_sums), rows, n, x.cols};
      if (p.is_aligned()) device_->product(p);
      else kernels::code_product(p, stream_);
      f.code_sums = p.c;
      f.maxima = scratch<float>(work_.maxima) + first;
      f.absmax = static_cast<const float*>(a.w.absmax) + o;
    }
    if (!alone || a.bias) kernels::finish(f, stream_);
  });
}

void CudaBackend::enqueue_linear_bwd(const LinearBwdArgs& a) {
  in_parts(a.dy.rows, work_.rows, [&](int64_t first, int64_t rows) { rows_bwd(a, first, rows); });
  if (a.gate) kernels::glu_bwd({a.dx, a.gate, a.up, a.gate, a.up}, stream_);
}

void CudaBackend::rows_bwd(const LinearBwdArgs& a, int64_t first, int64_t rows) const {
  const DType act = limits_.act;
  const Mat dx = a.dx ? a.dx.slice(first, rows) : Mat();
  const bool in_place = dx.dtype == DType::f32;
  const bool no_other_term = !in_place && !a.also && !a.accumulate && weight_rows_at_a_time(a.w) == a.w.rows;
  const bool begins_with_adapter = dx && no_other_term && a.lora && !(a.lora->dropout.active() && a.lora->undropped > 0) && !switches_.sums_in_f32;
  const bool alone = in_place || begins_with_adapter || (no_other_term && !a.lora);
  const Mat sums = !dx || alone ? dx : scratch(work_.sums, DType::f32, rows, dx.cols);
  bool begun = in_place && a.accumulate;
  for (const LinearBwdArgs* l = &a; l; l = l->also) {
    const Mat dy = l->dy.slice(first, rows);
    const auto through_weight = [&] {
      in_parts(l->w.rows, weight_rows_at_a_time(l->w), [&](int64_t o, int64_t n) {
        product_bwd(columns(dy, o, n), weight_rows(l->w, o, n), sums, begun);
        begun = true;
      });
    };
    if (dx && !begins_with_adapter) through_weight();
    if (!l->lora) continue;
    const Lora& lora = *l->lora;
    const Mat x = l->x.slice(first, rows), u = l->u.slice(first, rows), du = scratch(work_.du, act, rows, lora.rank);
    const bool masked = lora.dropout.active();
    const int64_t undropped = masked ? lora.undropped : 0, dropped = lora.rank - undropped;
    const Mat through = columns(du, 0, dropped), past = columns(du, dropped, undropped);
    product(dy, as_act(lora.b, l->w.rows, lora.rank, work_.b), false, du, false, lora.scale);
    if (dx) {
      const Mat lora_a = as_act(lora.a, lora.rank, x.cols, work_.a);
      const Mat term = masked && !begins_with_adapter ? scratch(work_.dropped, act, rows, x.cols) : sums;
      if (undropped > 0) product(past, lora_a.slice(dropped, undropped), false, sums, true);
      product(through, lora_a.slice(0, dropped), false, term, !masked && !begins_with_adapter);
      if (begins_with_adapter) {
        if (masked) kernels::dropout(dx, dx, lora.dropout, first, stream_);
        begun = true;
        through_weight();
      } else if (masked) {
        kernels::add_masked(term, sums, lora.dropout, first, stream_);
      }
    }
    device_->product({.a = dy, .b = u, .c = Mat(lora.db, DType::f32, l->w.rows, lora.rank), .transposes_a = true, .accumulates = true});
    const Mat da(lora.da, DType::f32, lora.rank, x.cols);
    device_->product({.a = through, .b = dropped_rows(x, lora.dropout, first), .c = da.slice(0, dropped), .transposes_a = true, .accumulates = true});
    if (undropped > 0) device_->product({.a = past, .b = x, .c = da.slice(dropped, undropped), .transposes_a = true, .accumulates = true});
  }
  if (dx && !alone) kernels::finish({.sums = sums, .y = dx, .accumulate = a.accumulate}, stream_);
}

void CudaBackend::enqueue_head(const HeadArgs& a) {
  if (a.rows.data) throw Error("E_DEVICE", "Rows of the head that train are for --device cpu.");
  const DType act = limits_.act;
  const int64_t vocab = a.w.rows;
  in_parts(a.x.rows, work_.logit_rows, [&](int64_t first, int64_t rows) {
    const Mat x = a.x.slice(first, rows), logits = scratch(work_.logits, act, rows, vocab);
    const int64_t at_a_time = weight_rows_at_a_time(a.w);
    in_parts(vocab, at_a_time, [&](int64_t v, int64_t n) { product(x, a.w, v, columns(logits, v, n), false); });
    kernels::cross_entropy({logits, a.labels + first, a.loss_scale, a.dynamic_scale, a.varying, a.bias, a.soft_cap, bool(a.dx), scratch<double>(work_.losses) + first}, stream_);
    if (!a.dx) return;
    const Mat dx = a.dx.slice(first, rows);
    in_parts(vocab, at_a_time, [&](int64_t v, int64_t n) { product_bwd(columns(logits, v, n), weight_rows(a.w, v, n), dx, v > 0); });
    if (a.dw) device_->product({.a = logits, .b = x, .c = Mat(a.dw, DType::f32, vocab, x.cols), .transposes_a = true, .accumulates = true});
    if (a.dbias) kernels::columns_bwd({.dy = logits, .z = {}, .dbias = a.dbias}, stream_);
  });
  kernels::add_up(scratch<double>(work_.losses), a.x.rows, a.loss_sum, stream_);
}

}  // namespace lowrank::cuda
