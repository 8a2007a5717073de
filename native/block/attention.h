// out(attention(rope(q), rope(k), v)),  q, k, v = heads in the outputs of linears of h
#pragma once
#include <array>

#include "block/linears.h"

namespace lowrank {

class Attention {
 public:
  // Gradients, which all blocks use in turn.
  struct Shared {
    Rows d_o, d_inputs[kMostAttentionInputs];  // as o and inputs
    void place(Place&, const AttentionSpec&);
  };

  void place(Place&, const AttentionSpec&);
  // stream += the block's attention of h
  void forward(const Pass&, int64_t layer, const Linears&, const Mat& h, const Mat& stream) const;
  // dh = the gradient of h, from the output's gradient; data null: not wanted. Nothing is computed below the lowest adapter. h: read where
  // reads_input().
  void backward(const Pass&, int64_t layer, const Linears&, const Shared&, const Mat& dy, const Mat& h, const Mat& dh) const;
  static bool reads_input(const Pass& p, int64_t layer) { return p.adapter.has(layer, 0, p.model.block.attention.inputs.size()); }

 private:
  using Mats = std::array<Mat, kMostAttentionInputs>;
  Mats mats(const Pass&, const Rows (&)[kMostAttentionInputs]) const;

  Rows inputs_[kMostAttentionInputs];  // (M, O) each: outputs of the linears, where q, k and v lie
  Rows o_, lse_;                       // (M, H*D); (M, H) f32
};

}  // namespace lowrank
