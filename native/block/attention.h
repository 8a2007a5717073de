// out(attention(rope(norm(q)), rope(norm(k)), v)),  q, k, v = heads in the outputs of linears of h; the norms may be missing
#pragma once
#include <array>

#include "block/linears.h"
#include "block/residual.h"

namespace lowrank {

class Attention {
 public:
  // Gradients, which all blocks use in turn.
  struct Shared {
    Rows d_o, d_inputs[kMostAttentionInputs];  // as o and inputs
    void place(Place&, const AttentionSpec&);
  };

  void place(Place&, const AttentionSpec&, int64_t dim, const Rows& output);  // output: Residual's
  // stream += the block's attention of h
  void forward(const Pass&, int64_t layer, const Linears&, const Mat& h, const Stream&) const;
  // dh (=|+=) the gradient of h, from the stream's gradient; data null: not wanted. Nothing is computed below the lowest adapter. h: read where
  // reads_input().
  void backward(const Pass&, int64_t layer, const Linears&, const Shared&, const Stream&, const Mat& h, const Mat& dh, bool accumulate) const;
  static bool reads_input(const Pass& p, int64_t layer) { return p.adapter.has(layer, 0, p.model.block.attention.inputs.size()); }

 private:
  using Mats = std::array<Mat, kMostAttentionInputs>;
  Heads normed_q(const Pass&) const;
  Heads normed_k(const Pass&) const;
  Mats mats(const Pass&, const Rows (&)[kMostAttentionInputs]) const;

  Rows inputs_[kMostAttentionInputs];  // (M, O) each: outputs of the linears, where q, k and v lie
  Rows o_, lse_;                       // (M, H*D); (M, H) f32
  Rows q_, k_, q_rstd_, k_rstd_;       // (M, H*D), (M, G*D): q and k after their norms; f32
  Residual residual_;
};

}  // namespace lowrank
