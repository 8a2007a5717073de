// The linears of a block, or one outside of the blocks, each with its adapter. They are called by layer and number (ModelSpec::linears).
#pragma once
#include <span>

#include "block/pass.h"

namespace lowrank {

// What the adapters of an engine need at most.
struct AdapterSizes {
  int64_t rank = 0;
  bool dora = false, dropped_dora = false;  // dropped_dora: DoRA with dropout
};

class Linears {
 public:
  // Buffers that all blocks use in turn.
  struct Shared {
    Rows u, z;  // of passes that keep nothing, used up within its own linear
    // Of DoRA with dropout: an input or an output's gradient after the mask, a part of an input's gradient, and the u of a frozen half
    Rows masked, part, frozen_u;
    void place(Place&, const ModelSpec&, const AdapterSizes&);
  };
  // ranks: the largest of each linear, 0 where no adapter has a site.
  void place(Place&, const std::vector<const LinearSpec*>&, std::span<const int64_t> ranks, bool dora, const Shared& shared);

  // Linears of one input are called one after the other. gate, a: as LinearFwdArgs'.
  void forward(const Pass&, int64_t layer, size_t linear, const Mat& x, const Mat& y, bool accumulate, const Mat& gate = {}, const Mat& a = {}) const;
  // The linears of one input x, from `first` on, each with the gradient of its output: dx (=|+=) their sum. gate, up: as LinearBwdArgs'.
  void backward(const Pass&, int64_t layer, size_t first, std::span<const Mat> dys, const Mat& x, const Mat& dx, bool accumulate, const Mat& gate = {}, const Mat& up = {}) const;

 private:
  // DoRA with dropout, as PEFT has it: y (=|+=) W (x - d) + bias + factor (W d + u B^T) with d = dropout(x)
  void dropped_forward(const Pass&, int64_t layer, size_t linear, const Lora&, const LinearFwdArgs&) const;
  // dx (=|+=) of one linear
  void dropped_backward(const Pass&, int64_t layer, size_t linear, const Mat& dy, const Mat& x, const Mat& dx, bool accumulate) const;

  // Of so many rows.
  Mat z(const Pass& p, size_t linear, int64_t rows, int64_t out) const { return p.mat(z_[linear], rows, out); }
  Mat u(const Pass& p, size_t linear, int64_t rows, int64_t rank) const { return p.mat(u_[linear], rows, rank); }

  Rows u_[kMostLinears];  // (M, R): x A^T
  Rows z_[kMostLinears];  // (M, O): of DoRA, the output before its factors; in the backward pass its gradient
  Rows masked_, part_, frozen_u_;  // Shared's
};

}  // namespace lowrank
