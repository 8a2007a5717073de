// down(silu(gate(h)) * up(h))
#pragma once
#include "block/linears.h"

namespace lowrank {

class Mlp {
 public:
  // Buffers that all blocks use in turn.
  struct Shared {
    Rows a, da;  // (M, F): SwiGLU's output and its gradient
    void place(Place&, const MlpSpec&);
  };

  void place(Place&, const MlpSpec&);
  // stream += the block's MLP of h. Of Mode::recompute not further than the backward pass reads.
  void forward(const Pass&, int64_t layer, const Linears&, const Shared&, const Mat& h, const Mat& stream) const;
  // dh = the gradient of h, from the output's gradient. h: read where reads_input().
  void backward(const Pass&, int64_t layer, const Linears&, const Shared&, const Mat& dy, const Mat& h, const Mat& dh) const;
  static bool reads_input(const Pass& p, int64_t layer) { return p.adapter.has(layer, p.model.block.gate(), 2); }

 private:
  Rows g_, u_;  // (M, F): outputs of gate and up
};

}  // namespace lowrank
