#include "block/head.h"

namespace lowrank {

void Head::place(Place& place, int64_t dim) {
  x_ = place.buffer(dim, DType::f32);
  h_ = place.buffer(dim);
  norm_.place(place, dim);
  if (place.keeps()) dh_ = place.buffer(dim, DType::f32);
}

void Head::loss(const Pass& p, const Stream& stream, const Learned& learned, double loss_scale, const double* dynamic_scale, double* loss_sum) const {
  const bool train = p.mode == Mode::train;
  const int64_t n = learned.count, dim = p.model.dim;
  if (train) p.ops.zero({p.mat(stream.dx)});
  if (n == 0) return;
  const Mat x = p.mat(x_, n, dim), h = p.mat(h_, n, dim), dh = train ? p.mat(dh_, n, dim) : Mat();
  const NormWeights& w = p.weights.final_norm;
  p.ops.gather_rows({p.mat(stream.x), learned.rows, x});
  norm_.forward(p, w, p.model.final_norm, x, h, true);
  HeadArgs args{h, p.head(), learned.labels, loss_scale, dh, loss_sum, dynamic_scale, p.head_bias(), float(p.model.logit_cap)};
  if (train) {
    args.dw = p.gradient(p.adapter.layout.head().weight);
    args.dbias = p.gradient(p.adapter.layout.head().bias);
  }
  p.ops.head(args);
  if (!train) return;
  p.ops.zero({x});  // becomes the gradient of the gathered rows
  norm_.backward(p, w, p.model.final_norm, dh, x, {});
  p.ops.scatter_rows({x, learned.rows, p.mat(stream.dx)});
}

void Head::logits(const Pass& p, const Mat& x, const Mat& h, const Mat& logits) {
  Norm::once(p, p.weights.final_norm, p.model.final_norm, x, h);
  p.ops.linear_fwd({.x = h, .w = p.head(), .bias = p.head_bias(), .u = {}, .y = logits, .together = p.together()});
  if (p.model.logit_cap > 0) p.ops.soft_cap({logits, float(p.model.logit_cap)});
}

}  // namespace lowrank
