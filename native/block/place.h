// Places of the buffers of one piece. Parts ask for theirs: once for the plan, and anew for the number of tokens of each piece.
#pragma once
#include <cstdint>
#include <functional>

#include "base/dtype.h"

namespace lowrank {

// A buffer with one row a token; Pass::mat makes a matrix of it.
struct Rows {
  int64_t offset = -1, cols = 0;
  DType dtype = DType::f32;
};

class Place {
 public:
  using Take = std::function<int64_t(const char* item, int64_t bytes)>;  // returns the offset

  // keep: a backward pass follows. Without one, all blocks share the buffers of the first.
  Place(int64_t tokens, bool keep, DType act, Take take) : tokens_(tokens), keep_(keep), act_(act), take_(std::move(take)) {}

  int64_t tokens() const { return tokens_; }
  bool keeps() const { return keep_; }
  DType act() const { return act_; }

  // Values of the forward pass that the backward pass reads.
  Rows kept(int64_t cols, DType dtype) { return rows("activations", cols, dtype); }
  Rows kept(int64_t cols) { return kept(cols, act_); }
  // Values that are used up within a pass.
  Rows buffer(int64_t cols, DType dtype) { return rows("buffers", cols, dtype); }
  Rows buffer(int64_t cols) { return buffer(cols, act_); }
  int64_t bytes(int64_t n) { return take_("buffers", n); }

 private:
  Rows rows(const char* item, int64_t cols, DType dtype) { return {take_(item, tokens_ * cols * dtype_bytes(dtype)), cols, dtype}; }

  int64_t tokens_;
  bool keep_;
  DType act_;
  Take take_;
};

}  // namespace lowrank
