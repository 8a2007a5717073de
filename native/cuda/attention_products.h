// Attention through products of matrices: what flash_attention.cu does not take, and what it is held against. The rows of a call are one matrix, whatever
// sequences they belong to: a query's scores with keys of other sequences, and with those that it does not see, become zeros. So shapes follow from the
// numbers of rows alone, and an algorithm is chosen for each before the first step. Queries are taken in chunks, with the keys that one of the chunk may
// see, rounded up; and as many key/value heads as AttentionParts says. The last chunk is 16, 32, 64 or 128 queries where these are enough.
#pragma once
#include "cuda/device.h"
#include "cuda/kernels.h"
#include "cuda/workspace.h"

namespace lowrank::cuda {

class AttentionProducts {
 public:
  // memory: the workspace
  AttentionProducts(Device& device, const AttentionParts& parts, DType act, char* memory) : device_(device), stream_(device.stream()), parts_(parts), act_(act), memory_(memory) {}

  void forward(const AttentionFwdArgs&) const;
  void backward(const AttentionBwdArgs&) const;

 private:
  Mat at(int64_t offset, DType t, int64_t rows, int64_t cols) const { return Mat(memory_ + offset, t, rows, cols); }
  int64_t rounded_keys(int64_t keys) const { return (keys + parts_.key_step - 1) / parts_.key_step * parts_.key_step; }
  kernels::HeadCopies query_copies(int64_t offset, const AttentionShape&, int64_t groups, int64_t rows) const;
  kernels::HeadCopies key_copies(int64_t offset, DType t, int64_t groups, int64_t keys) const;
  // f(chunk) for all chunks of all groups, in order; begin() and end() of groups are called before and after their chunks.
  template <class Begin, class Chunk, class End>
  void each_chunk(const AttentionShape&, int64_t rows, int64_t keys, Begin&& begin, Chunk&& f, End&& end) const;
  // Matrices of a chunk: the queries' rows in copies of q, o and d_o; the keys' in those of k and v; and scores.
  Mat queries(int64_t offset, const AttentionShape&, const kernels::ScoreChunk&) const;
  Mat keys(int64_t offset, DType t, const kernels::ScoreChunk&) const;
  Mat scores(int64_t offset, DType t, const AttentionShape&, const kernels::ScoreChunk&) const;
  void score_product(const Mat& rows, const Mat& keys, const Mat& scores, int64_t groups) const;                    // rows keys^T
  void row_product(const Mat& weights, const Mat& keys, const Mat& rows, int64_t groups, float alpha = 1) const;     // weights keys
  void key_product(const Mat& weights, const Mat& rows, const Mat& keys, int64_t groups, float alpha = 1) const;     // += weights^T rows

  Device& device_;
  Stream stream_;
  AttentionParts parts_;
  DType act_;
  char* memory_;
};

}  // namespace lowrank::cuda
