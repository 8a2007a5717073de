// The residual stream of a piece and its gradient.
#pragma once
#include "block/pass.h"

namespace lowrank {

struct Stream {
  Rows x;       // (M, C) f32
  Rows dx, dy;  // (M, C) f32; (M, C) act: dx rounded for the products, by whoever changed dx last

  void place(Place&, int64_t dim);
  // Where products read the gradient: in f32 where it is.
  Mat gradient(const Pass& p) const { return p.act == DType::f32 ? p.mat(dx) : p.mat(dy); }
  Mat rounded(const Pass& p) const { return p.act == DType::f32 ? Mat() : p.mat(dy); }
};

}  // namespace lowrank
