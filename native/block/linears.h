// The linears of a block, each with its adapter. They are called by their number within the block (BlockSpec::linears).
#pragma once
#include <span>

#include "block/pass.h"

namespace lowrank {

class Linears {
 public:
  // Of passes that keep nothing, used up within its own linear.
  struct Shared {
    Rows u, z;
  };
  // ranks: the largest of each linear, 0 where no adapter has a site.
  void place(Place&, const BlockSpec&, std::span<const int64_t> ranks, bool dora, const Shared& shared);

  // gate, a: as LinearFwdArgs'.
  void forward(const Pass&, int64_t layer, size_t linear, const Mat& x, const Mat& y, bool accumulate, const Mat& gate = {}, const Mat& a = {}) const;
  // The linears of one input x, from `first` on, each with the gradient of its output: dx (=|+=) their sum. gate, up: as LinearBwdArgs'.
  void backward(const Pass&, int64_t layer, size_t first, std::span<const Mat> dys, const Mat& x, const Mat& dx, bool accumulate, const Mat& gate = {}, const Mat& up = {}) const;

 private:
  Mat z(const Pass& p, size_t linear) const { return p.mat(z_[linear], p.tokens.count, p.model.block.linears()[linear]->out); }
  Mat u(const Pass& p, size_t linear, int64_t rank) const { return p.mat(u_[linear], p.tokens.count, rank); }

  Rows u_[kMostLinears];  // (M, R): x A^T
  Rows z_[kMostLinears];  // (M, O): of DoRA, the output before its factors; in the backward pass its gradient
};

}  // namespace lowrank
