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

// Rows of logits that the workspace holds.
int64_t chunk_rows(const OpLimits& l) {
  const int64_t most = std::max(kMinRows, kLogitBytes / (std::max<int64_t>(l.vocab, 1) * dtype_bytes(l.act)) / 32 * 32);
  return std::min(l.tokens, even_chunk(l.tokens, most));
}

}  // namespace

int64_t CpuBackend::head_workspace(const OpLimits& l, int threads) {
  const int64_t rows = chunk_rows(l);
  return round_up(rows * apart(l.vocab) * dtype_bytes(l.act), 64) + round_up(rows * 8, 64) +
         Matmul::workspace_bytes(std::max(l.model_dim, l.vocab), threads);
}

void CpuBackend::do_head(const HeadArgs& a) {
  const int64_t n = a.x.rows, vocab = a.w.rows, dim = a.w.cols, most = chunk_rows(limits_);
  const DType act = a.x.dtype;
  const int64_t logit_bytes = round_up(most * apart(limits_.vocab) * dtype_bytes(act), 64), loss_bytes = round_up(most * 8, 64);
  double* const losses = reinterpret_cast<double*>(work_ + logit_bytes);
  char* const rest = work_ + logit_bytes + loss_bytes;
  const Matmul matmul(pool_, isa_, rest, head_workspace(limits_, pool_.threads()) - logit_bytes - loss_bytes);

  const float scale = float(a.loss_scale * (a.dynamic_scale ? *a.dynamic_scale : 1));
  double sum = 0;
  const int64_t step = even_chunk(n, most);
  for (int64_t n0 = 0; n0 < n; n0 += step) {
    const int64_t rows = std::min(step, n - n0);
    const Mat x = a.x.slice(n0, rows), logits(work_, act, rows, vocab, apart(vocab));
    matmul({.terms = {{x, a.w, Along::columns}}, .n = vocab, .bias = a.bias, .out = logits});
    pool_.run(rows, [&](int64_t i, int) {
      const int32_t label = a.labels[n0 + i];
      if (a.soft_cap > 0) rk_.soft_cap(logits.row(i), vocab, act, 1.f, a.soft_cap);
      const double lse = rk_.log_sum_exp(logits.row(i), vocab, act), logit = double(logits.get(i, label));
      losses[i] = lse - logit;
      if (!a.dx) return;
      const double share = a.soft_cap > 0 ? logit / double(a.soft_cap) : 0;
      if (a.soft_cap > 0) rk_.softmax_grad_capped(logits.row(i), vocab, act, float(lse), scale, a.soft_cap);
      else rk_.softmax_grad(logits.row(i), vocab, act, float(lse), scale);
      // The label's element anew: softmax - 1 loses digits where the softmax is near 1.
      logits.set(i, label, float(std::expm1(logit - lse) * (1 - share * share)) * scale);
    });
    for (int64_t i = 0; i < rows; i++) sum += losses[i];
    if (a.dx) matmul({.terms = {{logits, a.w, Along::rows}}, .n = dim, .out = a.dx.slice(n0, rows)});
  }
  *a.loss_sum += sum;
}

}  // namespace lowrank::cpu
