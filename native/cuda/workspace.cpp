#include "cuda/workspace.h"

#include <algorithm>

#include "base/arena.h"

namespace lowrank::cuda {

namespace {
constexpr int64_t kMostRows = 2048;
constexpr int64_t kMostDecoded = int64_t(1) << 26;  // elements
constexpr int64_t kMostLogits = int64_t(1) << 27;   // elements
constexpr int64_t kLogitRows = 256;                 // a multiple of it, where there are more
constexpr int64_t kMostScores = int64_t(256) << 20; // bytes; 16 queries of a group may have more
constexpr int64_t kMostQueries = 256, kChunks = 8, kKeySteps = 32;

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
}  // namespace

// What flash_attention.cu does not take.
AttentionParts::AttentionParts(const OpLimits& l) {
  const bool on_tiles = l.act == DType::bf16 && l.head_dim % 8 == 0 && l.head_dim <= 256;
  if (l.kv_heads == 0 || (on_tiles && !wants_attention_products())) return;
  const int64_t heads = l.heads / l.kv_heads, tokens = std::max<int64_t>(1, l.tokens), element = dtype_bytes(l.act), passes = l.training ? 2 : 1;
  dim = round_up(l.head_dim, 8);
  // About 8 chunks of queries, so that few keys are multiplied that no query of a chunk sees, and 32 numbers of keys at most.
  key_step = round_up((std::max(l.kv_tokens, l.max_sequence) + kKeySteps - 1) / kKeySteps, 16);
  key_rows = round_up(std::max(l.kv_tokens, l.max_sequence), key_step);
  queries = kLeastQueries;
  while (queries < kMostQueries && queries * kChunks < tokens) queries *= 2;
  const int64_t query_bytes = heads * key_rows * passes * (4 + (l.act == DType::f32 ? 0 : element));
  const int64_t most = number_of_environment(kAttention, kMostScores);
  while (queries > kLeastQueries && queries * query_bytes > most) queries /= 2;
  query_rows = heads * round_up(tokens, queries);
  groups = std::clamp<int64_t>(most / (queries * query_bytes), 1, l.kv_heads);
}

int64_t AttentionParts::place(const OpLimits& l, int64_t at) {
  if (queries == 0) return at;
  const auto take = [&](int64_t rows, int64_t cols, int64_t size) {
    const int64_t offset = at;
    at += Arena::aligned(groups * rows * cols * size);
    return offset;
  };
  const int64_t element = dtype_bytes(l.act), rows = l.heads / l.kv_heads * queries;
  const bool trains = l.training, apart = l.act != DType::f32;
  q = take(query_rows, dim, element);
  o = take(query_rows, dim, element);
  k = take(key_rows, dim, element);
  v = take(key_rows, dim, element);
  scores = take(rows, key_rows, 4);
  weights = apart ? take(rows, key_rows, element) : scores;
  if (!trains) return at;
  d_o = take(query_rows, dim, element);
  dk = take(key_rows, dim, 4);
  dv = take(key_rows, dim, 4);
  d_weights = take(rows, key_rows, 4);
  d_scores = apart ? take(rows, key_rows, element) : d_weights;
  return at;
}

Workspace::Workspace(const OpLimits& l, const Switches& switches) {
  const int64_t tokens = std::max<int64_t>(1, l.tokens), element = dtype_bytes(l.act);
  rows = std::min(tokens, kMostRows);
  const int64_t most_rows = std::max<int64_t>(1, kMostLogits / std::max<int64_t>(1, l.vocab));
  logit_rows = std::min(tokens, most_rows > kLogitRows ? most_rows / kLogitRows * kLogitRows : most_rows);
  // A row at least.
  decoded = std::min(l.decoded, std::max(number_of_environment(kDecoded, kMostDecoded), l.features));
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
  attention = AttentionParts(l);
  const int64_t behind = attention.place(l, bytes);
  logits = take(logit_rows * l.vocab, element);
  bytes = std::max(bytes, behind);
  losses = take(tokens, int64_t(sizeof(double)));
  sample_tops = take(l.sampled, int64_t(sizeof(uint64_t)));
  sample_weights = take(l.sampled * l.vocab, int64_t(sizeof(uint64_t)));
  partial_sums = take(kPartialSums, int64_t(sizeof(double)));
}

// What CudaBackend::is_bordered() may say yes to.
int64_t resident_columns(int64_t rows, int64_t cols, DType act, const AdapterColumns& columns, const Switches& switches) {
  const bool gains = columns.same_x || pays_for_copy(act, cols, DType::f32, rows);
  return switches.bordered && columns.rank > 0 && gains ? bordered_cols(cols, columns.rank) : cols;
}

int64_t workspace_bytes(const OpLimits& limits, const Switches& switches) { return Workspace(limits, switches).bytes; }

}  // namespace lowrank::cuda
