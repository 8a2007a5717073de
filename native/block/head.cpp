#include "block/head.h"

namespace lowrank {

void Head::place(Place& place, const ModelSpec& model) {
  const int64_t dim = model.dim;
  if (model.projection) {
    projected_ = place.buffer(model.projection.dim);
    if (place.keeps()) {
      d_projected_ = place.buffer(model.projection.dim, DType::f32);
      rounded_ = place.buffer(model.projection.dim);
    }
  }
  x_ = place.buffer(dim, DType::f32);
  h_ = place.buffer(dim);
  norm_.place(place, dim);
  if (place.keeps()) dh_ = place.buffer(dim, DType::f32);
}

Mat Head::projected(const Pass& p, const Mat& h) const {
  if (!p.model.projection) return h;
  const Mat y = p.mat(projected_, h.rows, p.model.projection.dim);
  p.ops.linear_fwd({.x = h, .w = p.weights.project_out, .u = {}, .y = y, .together = p.together()});
  return y;
}

void Head::loss(const Pass& p, const Stream& stream, const Learned& learned, const double* dynamic_scale, double* loss_sum) const {
  const bool train = p.mode == Mode::train;
  const int64_t n = learned.count, dim = p.model.dim;
  if (train) p.ops.zero({p.mat(stream.dx)});
  if (n == 0) return;
  const Mat x = p.mat(x_, n, dim), h = p.mat(h_, n, dim), dh = train ? p.mat(dh_, n, dim) : Mat();
  const NormWeights& w = p.weights.final_norm;
  p.ops.gather_rows({p.mat(stream.x), learned.rows, x});
  norm_.forward(p, w, p.model.final_norm, x, h, true);
  const Mat input = projected(p, h), d_input = train && p.model.projection ? p.mat(d_projected_, n, p.model.projection.dim) : dh;
  HeadArgs args{input, p.head(), learned.labels, p.loss_scale(), d_input, loss_sum, dynamic_scale, p.varying_at, p.head_bias(), float(p.model.logit_cap)};
  const RowsPlace& own = p.adapter.layout.head_rows();
  args.rows = p.rows(own);
  args.row_ids = own.ids.data();
  if (train) {
    args.drows = p.gradient(own.offset);
    args.dw = p.gradient(p.adapter.layout.head().weight);
    args.dbias = p.gradient(p.adapter.layout.head().bias);
  }
  p.ops.head(args);
  if (!train) return;
  if (p.model.projection) {
    const Mat rounded = p.mat(rounded_, n, p.model.projection.dim);
    p.ops.cast({d_input, rounded});
    p.ops.linear_bwd({.dy = rounded, .x = {}, .w = p.weights.project_out, .u = {}, .dx = dh});
  }
  p.ops.zero({x});  // becomes the gradient of the gathered rows
  norm_.backward(p, w, p.model.final_norm, dh, x, {});
  p.ops.scatter_rows({x, learned.rows, p.mat(stream.dx)});
}

void Head::logits(const Pass& p, const Mat& x, const Mat& h, const Mat& logits, const Mat& own) const {
  Norm::once(p, p.weights.final_norm, p.model.final_norm, x, h);
  const Mat input = projected(p, h);
  const auto logits_of = [&](const Weight& rows, const float* bias, const Mat& y) {
    p.ops.linear_fwd({.x = input, .w = rows, .bias = bias, .u = {}, .y = y, .together = p.together()});
    if (p.model.logit_cap > 0) p.ops.soft_cap({y, float(p.model.logit_cap)});
  };
  logits_of(p.head(), p.head_bias(), logits);
  if (own) logits_of(p.rows(p.adapter.layout.head_rows()), nullptr, own);
}

}  // namespace lowrank
