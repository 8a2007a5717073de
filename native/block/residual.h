// How a part's output is added to the stream: as it is by the part's last linear, or x += scale * output, x += norm(output), or x += dropout(output).
#pragma once
#include "block/stream.h"

namespace lowrank {

class Residual {
 public:
  // shared: a buffer (M, C) of all blocks, where the output is not added as it is
  void place(Place& place, const ResidualSpec& spec, int64_t dim, const Rows& shared) {
    output_ = spec.norm ? place.kept(dim) : shared;
    gradient_ = shared;
    if (spec.norm) rstd_ = place.kept(1, DType::f32);
  }

  // Whether the last linear adds its output itself. dropout: of this pass
  static bool direct(const ResidualSpec& spec, const Dropout& dropout) { return spec.direct() && !dropout.active(); }
  // Where the last linear writes; += where direct().
  Mat output(const Pass& p, const ResidualSpec& spec, const Dropout& dropout, const Stream& stream) const {
    return p.mat(direct(spec, dropout) ? stream.x : output_);
  }
  // Adds it, after the linear.
  void add(const Pass& p, const ResidualSpec& spec, const NormWeights& w, const Dropout& dropout, const Stream& stream) const {
    if (direct(spec, dropout)) return;
    const Mat y = p.mat(output_), x = p.mat(stream.x);
    if (dropout.active()) return p.ops.dropout({.x = y, .y = x, .dropout = dropout, .accumulate = true});
    if (!spec.norm) return p.ops.cast({y, x, float(spec.scale), true});
    p.ops.inner_norm_fwd({Heads{y}, w.weight, float(spec.norm.eps), Heads{x}, p.trains() ? p.f32(rstd_) : nullptr, 1, 1, y.cols, true, w.bias, spec.norm.centred});
  }
  // The gradient of the last linear's output.
  Mat gradient(const Pass& p, const ResidualSpec& spec, const NormWeights& w, const Dropout& dropout, const Stream& stream) const {
    if (direct(spec, dropout)) return stream.gradient(p);
    const Mat dx = p.mat(stream.dx), dy = p.mat(gradient_);
    if (dropout.active()) p.ops.dropout({.x = dx, .y = dy, .dropout = dropout});
    else if (spec.norm) p.ops.inner_norm_bwd({Heads{dx}, Heads{p.mat(output_)}, w.weight, p.f32(rstd_), Heads{dy}, 1, 1, dy.cols, spec.norm.centred});
    else p.ops.cast({dx, dy, float(spec.scale)});
    return dy;
  }

 private:
  Rows output_, gradient_, rstd_;  // (M, C) both; (M) f32
};

}  // namespace lowrank
