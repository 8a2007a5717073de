// Attention beside products of matrices: copies of heads, and the softmax of scores that lie in memory.
#include "cuda/attention_score.h"
#include "cuda/block.h"
#include "cuda/kernels.h"

namespace lowrank::cuda::kernels {

namespace {

// A block's row is a token, and its columns are those of all heads.
__global__ void __launch_bounds__(kThreads, 1) copy_heads_kernel(Heads from, int64_t first_group, int64_t dim, HeadCopies to, int64_t columns) {
  const int64_t token = blockIdx.x, width = to.all.cols;
  for (int64_t c = first_column(); c < columns; c += column_step()) {
    const int64_t g = c / width / to.heads, j = c / width % to.heads, d = c % width;
    const bool there = token < from.mat.rows && d < dim;
    to.all.set(to.row(g, token, j), d, there ? from.mat.get(token, from.column(first_group + g, j) + d) : 0);
  }
}

__global__ void __launch_bounds__(kThreads, 1) copy_back_kernel(HeadCopies from, Heads to, int64_t first_group, int64_t dim, int64_t columns) {
  const int64_t token = blockIdx.x;
  for (int64_t c = first_column(); c < columns; c += column_step()) {
    const int64_t g = c / dim / from.heads, j = c / dim % from.heads, d = c % dim;
    to.mat.set(token, to.column(first_group + g, j) + d, from.all.get(from.row(g, token, j), d));
  }
}

// What a block has: the scores of a query and a head, of which columns [begin, end) are of keys that it sees.
struct ScoreRow {
  int64_t row, head, index;  // row: of q's matrix; index: of the scores' matrix
  int64_t begin, end;
  int64_t first_key;  // the first column's place in the sequence
};
__device__ __forceinline__ ScoreRow score_row(const AttentionShape& s, const ScoreChunk& c, int64_t rows) {
  const int64_t row = c.first_query + blockIdx.x % c.queries, per_group = s.heads / s.kv_heads, g = blockIdx.y;
  ScoreRow found = {row, (c.first_group + g) * per_group + blockIdx.x / c.queries, g * per_group * c.queries + blockIdx.x, 0, 0, 0};
  if (row >= rows) return found;  // the last chunk's rest
  const int64_t sequence = sequence_of(s.q_offsets, s.sequences, row);
  const Sequence queries = rows_of(s.q_offsets, sequence), keys = rows_of(s.kv_offsets, sequence);
  const int64_t visible = s.visible(row - queries.first, queries.count, keys.count);
  found.first_key = c.first_key - keys.first;
  found.begin = s.hidden(visible) - found.first_key;
  found.end = visible - found.first_key;
  return found;
}

// A thread has every kThreads-th column, in all loops.
__global__ void __launch_bounds__(kThreads, 1) softmax_kernel(AttentionFwdArgs a, ScoreChunk chunk, Mat scores, Mat weights) {
  LOWRANK_SHARED(float, parts, kWarp);
  const AttentionShape& s = a.shape;
  const ScoreRow r = score_row(s, chunk, a.o.rows);
  float own_top = -INFINITY, own_sum = 0;
  for (int64_t c = threadIdx.x; c < r.end; c += blockDim.x) {
    if (c < r.begin) continue;
    const float score = score_of(s, scores.get(r.index, c), r.head, r.first_key + c).value, higher = larger(own_top, score);
    own_sum = own_sum * expf(own_top - higher) + expf(score - higher);
    own_top = higher;
    scores.set(r.index, c, score);
  }
  const float top = block_max(own_top, parts), sum = block_sum(own_top == -INFINITY ? 0 : own_sum * expf(own_top - top), parts);
  for (int64_t c = threadIdx.x; c < chunk.keys; c += blockDim.x) {
    const bool is_seen = c >= r.begin && c < r.end;
    weights.set(r.index, c, is_seen ? mask_of(s, r.row, r.head, r.first_key + c) * (expf(scores.get(r.index, c) - top) / sum) : 0);
  }
  if (a.lse && threadIdx.x == 0 && r.end > 0) a.lse[r.row * s.heads + r.head] = top + logf(sum);
}

__global__ void __launch_bounds__(kThreads, 1) softmax_bwd_kernel(AttentionBwdArgs a, ScoreChunk chunk, Mat scores, Mat d_weights, Mat weights, Mat d_scores) {
  LOWRANK_SHARED(float, parts, kWarp);
  const AttentionShape& s = a.shape;
  const ScoreRow r = score_row(s, chunk, a.o.rows);
  float part = 0, lse = 0;
  if (r.end > 0) {
    for (int64_t d = threadIdx.x; d < s.head_dim; d += blockDim.x) part += a.d_o.get(r.row, r.head * s.head_dim + d) * a.o.get(r.row, r.head * s.head_dim + d);
    lse = a.lse[r.row * s.heads + r.head];
  }
  const float delta = block_sum(part, parts);
  for (int64_t c = threadIdx.x; c < chunk.keys; c += blockDim.x) {
    float weight = 0, d_score = 0;
    if (c >= r.begin && c < r.end) {
      const Score score = score_of(s, scores.get(r.index, c), r.head, r.first_key + c);
      const float p = expf(score.value - lse), mask = mask_of(s, r.row, r.head, r.first_key + c);
      weight = mask * p;
      d_score = p * (mask * d_weights.get(r.index, c) - delta) * score.slope;
    }
    weights.set(r.index, c, weight);
    d_scores.set(r.index, c, d_score);
  }
}

unsigned rows_of_group(const AttentionShape& s, const ScoreChunk& c) { return unsigned(s.heads / s.kv_heads * c.queries); }

}  // namespace

void copy_heads(const Heads& from, int64_t first_group, int64_t dim, const HeadCopies& to, Stream stream) {
  const int64_t columns = to.all.rows / to.rows * to.heads * to.all.cols;
  LOWRANK_LAUNCH(copy_heads_kernel, (unsigned(to.tokens()), column_parts(to.tokens(), columns)), kThreads, stream, from, first_group, dim, to, columns);
}

void copy_back(const HeadCopies& from, const Heads& to, int64_t first_group, int64_t dim, Stream stream) {
  const int64_t columns = from.all.rows / from.rows * from.heads * dim;
  LOWRANK_LAUNCH(copy_back_kernel, (unsigned(to.mat.rows), column_parts(to.mat.rows, columns)), kThreads, stream, from, to, first_group, dim, columns);
}

void softmax(const AttentionFwdArgs& a, const ScoreChunk& c, const Mat& scores, const Mat& weights, Stream stream) {
  LOWRANK_LAUNCH(softmax_kernel, (rows_of_group(a.shape, c), unsigned(c.groups)), kThreads, stream, a, c, scores, weights);
}

void softmax_bwd(const AttentionBwdArgs& a, const ScoreChunk& c, const Mat& scores, const Mat& d_weights, const Mat& weights, const Mat& d_scores, Stream stream) {
  LOWRANK_LAUNCH(softmax_bwd_kernel, (rows_of_group(a.shape, c), unsigned(c.groups)), kThreads, stream, a, c, scores, d_weights, weights, d_scores);
}

}  // namespace lowrank::cuda::kernels
