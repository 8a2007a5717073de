#include "cuda/workspace.h"

#include <algorithm>

#include "base/arena.h"

namespace lowrank::cuda {

namespace {
constexpr int64_t kMostRows = 2048;
constexpr int64_t kMostDecoded = int64_t(1) << 26;  // elements
constexpr int64_t kMostLogits = int64_t(1) << 27;   // elements
constexpr int64_t kLogitRows = 256;                 // a multiple of it, where there are more
}  // namespace

Workspace::Workspace(const OpLimits& l, const Switches& switches) {
  const int64_t tokens = std::max<int64_t>(1, l.tokens), element = dtype_bytes(l.act);
  rows = std::min(tokens, kMostRows);
  const int64_t most_rows = std::max<int64_t>(1, kMostLogits / std::max<int64_t>(1, l.vocab));
  logit_rows = std::min(tokens, most_rows > kLogitRows ? most_rows / kLogitRows * kLogitRows : most_rows);
  decoded = std::min(l.decoded, kMostDecoded);
  const auto take = [&](int64_t n, int64_t size) {
    const int64_t at = bytes;
    bytes += Arena::aligned(n * size);
    return at;
  };
  const int64_t values = rows * l.features;
  border = switches.bordered && l.rank > 0 ? l.rank + 7 : 0;
  weight = take(decoded + (decoded > 0 ? l.features * border : 0), element);
  bordered = take(border > 0 ? values + rows * border : 0, element);
  sums = take(l.act == DType::f32 && !l.rounds_activations ? 0 : values, 4);
  a = take(l.act == DType::f32 ? 0 : l.rank * l.features, element);
  b = take(l.act == DType::f32 ? 0 : l.rank * l.features, element);
  dropped = take(l.dropout ? values : 0, element);
  du = take(l.training ? rows * l.rank : 0, element);
  const int64_t rounded = l.rounds_activations ? 1 : 0;
  codes = take(rounded * values, 1);
  outliers = take(rounded * l.features * outlier_rows(rows), element);
  code_sums = take(rounded * values, 4);
  maxima = take(rounded * tokens, 4);
  is_outlier = take(rounded * l.features, 4);
  outlier_columns = take(rounded * (l.features + 1), 4);
  delta = take(l.training ? tokens * l.heads : 0, 4);
  logits = take(logit_rows * l.vocab, element);
  losses = take(tokens, int64_t(sizeof(double)));
  sample_tops = take(l.sampled, int64_t(sizeof(uint64_t)));
  sample_weights = take(l.sampled * l.vocab, int64_t(sizeof(uint64_t)));
  partial_sums = take(kPartialSums, int64_t(sizeof(double)));
}

int64_t workspace_bytes(const OpLimits& limits, const Switches& switches) { return Workspace(limits, switches).bytes; }

}  // namespace lowrank::cuda
