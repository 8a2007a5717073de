#include "block/head.h"

namespace lowrank {

void Head::place(Place& place, const ModelSpec& model) {
  if (place.keeps()) dx_ = place.buffer(model.read_dim(), DType::f32);
}

void Head::loss(const Pass& p, const Final& final, const Stream& stream, const Learned& learned, const double* dynamic_scale, double* loss_sum) const {
  const bool train = p.mode == Mode::train;
  const int64_t n = learned.count;
  if (n == 0) return;
  const Mat input = final.forward(p, stream, learned.rows, n), dx = train ? p.mat(dx_, n, dx_.cols) : Mat();
  HeadArgs args{input, p.head(), learned.labels, p.loss_scale(), dx, loss_sum, dynamic_scale, p.varying_at, p.head_bias(), float(p.model.logit_cap)};
  const RowsPlace& own = p.adapter.layout.head_rows();
  args.rows = p.rows(own);
  args.row_ids = own.ids.data();
  if (train) {
    args.drows = p.gradient(own.offset);
    args.dw = p.gradient(p.adapter.layout.head().weight);
    args.dbias = p.gradient(p.adapter.layout.head().bias);
  }
  p.ops.head(args);
  if (train) final.backward(p, stream, learned.rows, dx);
}

void Head::logits(const Pass& p, const Mat& input, const Mat& logits, const Mat& own) {
  const auto logits_of = [&](const Weight& rows, const float* bias, const Mat& y) {
    p.ops.linear_fwd({.x = input, .w = rows, .bias = bias, .u = {}, .y = y, .together = p.together()});
    if (p.model.logit_cap > 0) p.ops.soft_cap({y, float(p.model.logit_cap)});
  };
  logits_of(p.head(), p.head_bias(), logits);
  if (own) logits_of(p.rows(p.adapter.layout.head_rows()), nullptr, own);
}

}  // namespace lowrank
