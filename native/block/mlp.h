// down(f(gate(h)) * up(h)), or without a gate down(f(up(h)))
#pragma once
#include "block/linears.h"
#include "block/residual.h"

namespace lowrank {

class Mlp {
 public:
  // Buffers that all blocks use in turn.
  struct Shared {
    Rows a, da;  // (M, F): down's input and its gradient
    void place(Place&, const MlpSpec&);
  };

  void place(Place&, const MlpSpec&, int64_t dim, const Rows& output);  // output: Residual's
  // stream += the block's MLP of h. Of Mode::recompute not further than the backward pass reads.
  void forward(const Pass&, int64_t layer, const Linears&, const Shared&, const Mat& h, const Stream&) const;
  // dh = the gradient of h, from the stream's gradient; data null: not wanted. h: read where reads_input().
  void backward(const Pass&, int64_t layer, const Linears&, const Shared&, const Stream&, const Mat& h, const Mat& dh) const;
  static bool reads_input(const Pass& p, int64_t layer) {
    return p.adapter.has(layer, p.model.block.mlp_inputs(), p.model.block.mlp.inputs.size());
  }

 private:
  // (M, F): f's argument and its factor, in buffers of their own or side by side in one; without a gate there is no factor.
  Mat argument(const Pass&) const;
  Mat factor(const Pass&) const;

  Rows inputs_[kMostMlpInputs];
  Residual residual_;
};

}  // namespace lowrank
