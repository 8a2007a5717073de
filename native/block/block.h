// The wiring of a block: x += attention(norm(x)); x += mlp(norm(x)).
#pragma once
#include "block/attention.h"
#include "block/mlp.h"
#include "block/norm.h"

namespace lowrank {

// The residual stream of a piece and its gradient.
struct Stream {
  Rows x;       // (M, C) f32
  Rows dx, dy;  // (M, C) f32; (M, C) act: dx rounded for the products, by whoever changed dx last

  void place(Place&, int64_t dim);
  // Where products read the gradient: in f32 where it is.
  Mat gradient(const Pass& p) const { return p.act == DType::f32 ? p.mat(dx) : p.mat(dy); }
  Mat rounded(const Pass& p) const { return p.act == DType::f32 ? Mat() : p.mat(dy); }
};

class Block {
 public:
  // Buffers that all blocks use in turn.
  struct Shared {
    Rows h, dh;  // (M, C) act: a norm's output; (M, C) f32: its gradient
    Attention::Shared attention;
    Mlp::Shared mlp;
    Linears::Shared linears;
    void place(Place&, const ModelSpec&, int64_t most_rank, bool dora);
  };

  void place(Place&, const ModelSpec&, std::span<const int64_t> ranks, bool dora, const Shared&);
  void forward(const Pass&, int64_t layer, const Shared&, const Stream&) const;
  // Takes the gradient of the block's output from the stream and leaves the gradient of its input there. The base is frozen: only
  // adapters get gradients, and nothing is computed below the lowest adapter.
  void backward(const Pass&, int64_t layer, const Shared&, const Stream&) const;

 private:
  Norm attention_norm_, mlp_norm_;
  Attention attention_;
  Mlp mlp_;
  Linears linears_;
};

}  // namespace lowrank
