// A norm of the residual stream. Without weights there is none: the output is the input, rounded.
#pragma once
#include "block/pass.h"

namespace lowrank {

class Norm {
 public:
  void place(Place& place, int64_t dim) {
    x_ = place.kept(dim);
    rstd_ = place.kept(1, DType::f32);
  }

  // x, h: rows of the piece, or of the head. Kept where a backward pass follows.
  void forward(const Pass& p, const float* w, const NormSpec& spec, const Mat& x, const Mat& h, bool keep) const {
    if (!w) {
      p.ops.cast({x, h});
      if (keep) p.ops.cast({h, saved(p, h.rows)});
      return;
    }
    p.ops.norm_fwd({x, w, float(spec.eps), h, keep ? p.f32(rstd_) : nullptr, keep ? saved(p, h.rows) : Mat()});
  }
  // Its output again.
  void again(const Pass& p, const float* w, const Mat& h) const {
    if (w) p.ops.norm_apply({saved(p, h.rows), w, p.f32(rstd_), h});
    else p.ops.cast({saved(p, h.rows), h});
  }
  // dx += the gradient of the input, of dh; rounded: as NormBwdArgs'.
  void backward(const Pass& p, const float* w, const Mat& dh, const Mat& dx, const Mat& rounded) const {
    if (!w) {
      p.ops.cast({dh, dx, 1, true});
      if (rounded) p.ops.cast({dx, rounded});
      return;
    }
    p.ops.norm_bwd({dh, saved(p, dh.rows), w, p.f32(rstd_), dx, rounded});
  }

 private:
  Mat saved(const Pass& p, int64_t rows) const { return p.mat(x_, rows, x_.cols); }

  Rows x_, rstd_;  // (M, C): its input rounded; (M) f32
};

}  // namespace lowrank
