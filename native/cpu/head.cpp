// The language-model head with its cross-entropy loss; logits exist for a chunk of rows at a time.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/matmul.h"

namespace lowrank::cpu {

namespace {

// Bytes of one chunk's logits: 1,024 tokens of a 32,000-word vocabulary in bf16. Smaller chunks would pack the head's weight too often.
// Rows lie off a power of two, or they would be copied for every group of panels.
constexpr int64_t kLogitBytes = 66 << 20;
constexpr int64_t kMinRows = 32;

// Rows of a chunk, of n in all and at most `most`. Chunks have equal sizes, rounded to 32 rows: a small last chunk would pack the
// weight for few rows.
int64_t even_chunk(int64_t n, int64_t most) {
  const int64_t chunks = std::max<int64_t>(1, (n + most - 1) / most);
  return std::min(most, round_up((n + chunks - 1) / chunks, 32));
}

// Words whose gradients are summed at a time.
constexpr int64_t kWords = 4096;

// Rows of logits that the workspace holds.
int64_t chunk_rows(const OpLimits& l) {
  const int64_t most = std::max(kMinRows, kLogitBytes / (std::max<int64_t>(l.vocab, 1) * dtype_bytes(l.act)) / 32 * 32);
  return std::min(l.tokens, even_chunk(l.tokens, most));
}

// The parts of the workspace; offsets in bytes.
struct Parts {
  int64_t rows, losses, replaced, thin, thin_ld, sums, matmul, end;
};

Parts parts(const OpLimits& l, int threads) {
  Parts p{};
  p.rows = chunk_rows(l);
  const auto take = [&](int64_t bytes) {
    const int64_t at = p.end;
    p.end += round_up(bytes, 64);
    return at;
  };
  take(p.rows * apart(l.vocab) * dtype_bytes(l.act));  // the logits
  p.losses = take(p.rows * 8);
  p.replaced = take(p.rows * l.head_rows * dtype_bytes(l.act));
  p.thin_ld = round_up(p.rows, kPanelStep);
  p.thin = take(l.head_trains ? l.model_dim * p.thin_ld * dtype_bytes(l.act) : 0);
  p.sums = take(l.head_trains ? l.model_dim * std::min(kWords, l.vocab) * 4 : 0);
  const int64_t words = l.head_rows == 0 ? l.vocab : round_up(l.vocab, kPanelStep) + l.head_rows;
  p.matmul = take(Matmul::workspace_bytes(std::max({l.model_dim, words, l.head_trains ? p.rows : 0}), l.model_dim, threads));
  return p;
}

}  // namespace

int64_t CpuBackend::head_workspace(const OpLimits& l, int threads) { return parts(l, threads).end; }

// dw += dz^T x, computed as its transpose, for some words at a time: the thin operand stands left
void CpuBackend::head_gradient(const Mat& x, const Mat& dz, float* dw) {
  const Parts p = parts(limits_, pool_.threads());
  const Matmul matmul(pool_, isa_, work_ + p.matmul, p.end - p.matmul);
  const int64_t dim = x.cols;
  const Mat thin(work_ + p.thin, x.dtype, dim, x.rows, p.thin_ld);
  transpose_thin(x, thin);
  for (int64_t v0 = 0; v0 < dz.cols; v0 += kWords) {
    const int64_t words = std::min(kWords, dz.cols - v0);
    const Mat sums(work_ + p.sums, DType::f32, dim, words);
    const Weight right{.data = dz.row(0) + v0 * dtype_bytes(dz.dtype), .format = format_of(dz.dtype), .rows = dz.rows, .cols = dz.ld};
    matmul({.terms = {{thin, right, Along::rows}}, .n = words, .out = sums});
    constexpr int64_t kRows = 64;
    pool_.run((words + kRows - 1) / kRows, [&](int64_t task, int) {
      for (int64_t v = task * kRows; v < std::min(words, (task + 1) * kRows); v++) {
        for (int64_t c = 0; c < dim; c++) dw[(v0 + v) * dim + c] += static_cast<const float*>(sums.data)[c * words + v];
      }
    });
  }
}

void CpuBackend::do_head(const HeadArgs& a) {
  const Parts p = parts(limits_, pool_.threads());
  const int64_t n = a.x.rows, vocab = a.w.rows, dim = a.w.cols;
  const DType act = a.x.dtype;
  double* const losses = reinterpret_cast<double*>(work_ + p.losses);
  const Matmul matmul(pool_, isa_, work_ + p.matmul, p.end - p.matmul);

  const float scale = float(a.loss_scale * (a.dynamic_scale ? *a.dynamic_scale : 1));
  double sum = 0;
  const int64_t step = even_chunk(n, p.rows), replaced = a.rows.data ? a.rows.rows : 0;
  for (int64_t n0 = 0; n0 < n; n0 += step) {
    const int64_t rows = std::min(step, n - n0);
    const Mat x = a.x.slice(n0, rows), logits(work_, act, rows, vocab, apart(vocab));
    const Mat own(work_ + p.replaced, act, rows, replaced);
    matmul({.terms = {{x, a.w, Along::columns}}, .n = vocab, .bias = a.bias, .out = logits});
    if (replaced > 0) matmul({.terms = {{x, a.rows, Along::columns}}, .n = replaced, .out = own});
    pool_.run(rows, [&](int64_t i, int) {
      const int32_t label = a.labels[n0 + i];
      for (int64_t r = 0; r < replaced; r++) logits.set(i, a.row_ids[r], own.get(i, r));
      if (a.soft_cap > 0) rk_.soft_cap(logits.row(i), vocab, act, 1.f, a.soft_cap);
      const double lse = rk_.log_sum_exp(logits.row(i), vocab, act), logit = double(logits.get(i, label));
      losses[i] = lse - logit;
      if (!a.dx) return;
      const double share = a.soft_cap > 0 ? logit / double(a.soft_cap) : 0;
      if (a.soft_cap > 0) rk_.softmax_grad_capped(logits.row(i), vocab, act, float(lse), scale, a.soft_cap);
      else rk_.softmax_grad(logits.row(i), vocab, act, float(lse), scale);
      // The label's element anew: softmax - 1 loses digits where the softmax is near 1.
      logits.set(i, label, float(std::expm1(logit - lse) * (1 - share * share)) * scale);
      // The gradients of replaced logits go through the rows in the places of W's.
      for (int64_t r = 0; r < replaced; r++) {
        own.set(i, r, logits.get(i, a.row_ids[r]));
        logits.set(i, a.row_ids[r], 0);
      }
    });
    for (int64_t i = 0; i < rows; i++) sum += losses[i];
    if (a.dx) {
      Product dx{.terms = {{logits, a.w, Along::rows}}, .n = dim, .out = a.dx.slice(n0, rows)};
      if (replaced > 0) dx.terms[dx.term_count++] = {own, a.rows, Along::rows};
      matmul(dx);
    }
    if (a.drows) head_gradient(x, own, a.drows);
    if (a.dw) head_gradient(x, logits, a.dw);
    if (a.dbias) do_columns_bwd({.dy = logits, .z = {}, .dbias = a.dbias});
  }
  *a.loss_sum += sum;
}

}  // namespace lowrank::cpu
