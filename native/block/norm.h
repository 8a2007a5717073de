// A norm of the residual stream. Without a tensor there is none: the output is the input, rounded.
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
  void forward(const Pass& p, const NormWeights& w, const NormSpec& spec, const Mat& x, const Mat& h, bool keep) const {
    if (!spec) {
      p.ops.cast({x, h});
      if (keep) p.ops.cast({h, saved(p, h.rows)});
      return;
    }
    NormFwdArgs a = args(w, spec, x, h);
    if (keep) {
      a.rstd = p.f32(rstd_);
      a.saved = saved(p, h.rows);
    }
    p.ops.norm_fwd(a);
  }
  // Nothing is kept.
  static void once(const Pass& p, const NormWeights& w, const NormSpec& spec, const Mat& x, const Mat& h) {
    if (spec) p.ops.norm_fwd(args(w, spec, x, h));
    else p.ops.cast({x, h});
  }
  // Its output again.
  void again(const Pass& p, const NormWeights& w, const Mat& h) const {
    if (w.weight) p.ops.norm_apply({saved(p, h.rows), w.weight, p.f32(rstd_), h, w.bias});
    else p.ops.cast({saved(p, h.rows), h});
  }
  // dx += the gradient of the input, of dh; rounded: as NormBwdArgs'.
  void backward(const Pass& p, const NormWeights& w, const NormSpec& spec, const Mat& dh, const Mat& dx, const Mat& rounded) const {
    if (!spec) {
      p.ops.cast({dh, dx, 1, true});
      if (rounded) p.ops.cast({dx, rounded});
      return;
    }
    p.ops.norm_bwd({dh, saved(p, dh.rows), w.weight, p.f32(rstd_), dx, rounded, spec.centred});
  }

 private:
  static NormFwdArgs args(const NormWeights& w, const NormSpec& spec, const Mat& x, const Mat& h) {
    return {.x = x, .w = w.weight, .eps = float(spec.eps), .h = h, .rstd = nullptr, .saved = {}, .b = w.bias, .centred = spec.centred};
  }
  Mat saved(const Pass& p, int64_t rows) const { return p.mat(x_, rows, x_.cols); }

  Rows x_, rstd_;  // (M, C): its input rounded; (M) f32
};

}  // namespace lowrank
