#include "block/final.h"

namespace lowrank {

void Final::place(Place& place, const ModelSpec& model, std::span<const int64_t> ranks, bool dora, const Linears::Shared& shared) {
  x_ = place.buffer(model.dim, DType::f32);
  h_ = place.buffer(model.dim);
  norm_.place(place, model.dim);
  if (!model.final_linear) return;
  y_ = place.buffer(model.read_dim(), model.classifier ? DType::f32 : place.act());
  linear_.place(place, model.linears(model.layers), ranks, dora, shared);
  if (!place.keeps()) return;
  rounded_ = place.buffer(model.read_dim());
  dh_ = place.buffer(model.dim, DType::f32);
}

Mat Final::through_linear(const Pass& p, const Mat& h) const {
  if (!p.model.final_linear) return h;
  const Mat y = p.mat(y_, h.rows, y_.cols);
  linear_.forward(p, p.model.layers, 0, h, y, false);
  return y;
}

Mat Final::forward(const Pass& p, const Stream& stream, const int32_t* rows, int64_t n) const {
  const Mat x = p.mat(x_, n, p.model.dim), h = p.mat(h_, n, p.model.dim);
  p.ops.gather_rows({p.mat(stream.x), rows, x});
  norm_.forward(p, p.weights.final_norm, p.model.final_norm, x, h, true);
  return through_linear(p, h);
}

void Final::backward(const Pass& p, const Stream& stream, const int32_t* rows, const Mat& dy) const {
  const int64_t n = dy.rows, dim = p.model.dim;
  Mat dh = dy;
  if (p.model.final_linear) {
    Mat rounded = dy;
    if (p.act != DType::f32) {
      rounded = p.mat(rounded_, n, dy.cols);
      p.ops.cast({dy, rounded});
    }
    dh = p.mat(dh_, n, dim);
    linear_.backward(p, p.model.layers, 0, {&rounded, 1}, p.mat(h_, n, dim), dh, false);
  }
  const Mat x = p.mat(x_, n, dim);
  p.ops.zero({x});  // becomes the gradient of the gathered rows
  norm_.backward(p, p.weights.final_norm, p.model.final_norm, dh, x, {});
  p.ops.zero({p.mat(stream.dx)});
  p.ops.scatter_rows({x, rows, p.mat(stream.dx)});
}

Mat Final::once(const Pass& p, const Mat& x, const Mat& h) const {
  Norm::once(p, p.weights.final_norm, p.model.final_norm, x, h);
  return through_linear(p, h);
}

}  // namespace lowrank
