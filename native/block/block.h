// The wiring of a block: x += attention(norm(x)); x += mlp(norm(x)), each perhaps with a norm of x after it, or parallel
// x += attention(norm(x)) + mlp(norm(x)).
#pragma once
#include "block/attention.h"
#include "block/mlp.h"
#include "block/norm.h"

namespace lowrank {

class Block {
 public:
  // Buffers that all blocks use in turn.
  struct Shared {
    Rows h, dh;          // (M, C) act: a norm's output; (M, C) f32: its gradient
    Rows mlp_h, mlp_dh;  // the MLP's where a parallel block has a norm for it; else the same
    Rows output;         // (M, C) act: of Residual
    Attention::Shared attention;
    Mlp::Shared mlp;
    Linears::Shared linears;
    void place(Place&, const ModelSpec&, const AdapterSizes&);
  };

  void place(Place&, const ModelSpec&, std::span<const int64_t> ranks, bool dora, const Shared&);
  void forward(const Pass&, int64_t layer, const Shared&, const Stream&) const;
  // Takes the gradient of the block's output from the stream and leaves the gradient of its input there. The base is frozen: only
  // adapters get gradients, and nothing is computed below the lowest adapter.
  void backward(const Pass&, int64_t layer, const Shared&, const Stream&) const;

 private:
  void forward_parallel(const Pass&, int64_t layer, const Shared&, const Stream&) const;
  void backward_parallel(const Pass&, int64_t layer, const Shared&, const Stream&) const;

  Norm attention_norm_, mlp_norm_, attention_after_, mlp_after_;
  Attention attention_;
  Mlp mlp_;
  Linears linears_;
};

}  // namespace lowrank
