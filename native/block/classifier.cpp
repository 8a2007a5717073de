#include "block/classifier.h"

#include "base/error.h"
#include "base/random_streams.h"

namespace lowrank {

namespace {

struct Weights {
  const float *w, *bias;
  float *dw, *dbias;  // null outside training
};

Weights weights_of(const Pass& p, size_t layer) {
  const auto& dense = p.adapter.layout.dense();
  const DenseWeights& stored = p.weights.dense[layer];
  if (dense.empty() || dense[layer].weight < 0) {
    if (!stored.w) {
      const std::string& module = p.model.classifier->layers[layer].linear.module;
      throw Error("E_STATE", "The base has no " + module + ".weight, and no adapter was given that has it.", module);
    }
    return {stored.w, stored.bias, nullptr, nullptr};
  }
  const auto [weight, bias] = dense[layer];
  float *const from = p.adapter.parameters, *const to = p.adapter.gradients;
  return {from + weight, bias < 0 ? nullptr : from + bias, to ? to + weight : nullptr, to && bias >= 0 ? to + bias : nullptr};
}

Dropout dropout_of(const Pass& p, size_t layer) {
  const DenseSpec& spec = p.model.classifier->layers[layer];
  if (!p.trains() || spec.dropout == 0) return {};
  return p.mask(spec.dropout, streams::kClassifierDropout + layer, p.model.classifier->layers.size(), 0, uint64_t(spec.linear.in));
}

}  // namespace

void Classifier::place(Place& place, const ModelSpec& model) {
  x_ = place.buffer(model.read_dim(), DType::f32);
  layers_.resize(model.classifier->layers.size());
  for (size_t i = 0; i < layers_.size(); i++) {
    const LinearSpec& l = model.classifier->layers[i].linear;
    layers_[i] = {place.buffer(l.in, DType::f32), place.buffer(l.out, DType::f32), {}};
    if (place.keeps()) layers_[i].dx = place.buffer(l.in, DType::f32);
  }
}

Mat Classifier::logits(const Pass& p, const Final& final, const Stream& stream, const Pooled& pooled) const {
  const int64_t n = pooled.count;
  Mat x = p.mat(x_, n, x_.cols);
  p.ops.cast({final.forward(p, stream, pooled.rows, n), x});
  for (size_t i = 0; i < layers_.size(); i++) {
    const DenseSpec& spec = p.model.classifier->layers[i];
    const Weights w = weights_of(p, i);
    const Mat d = p.mat(layers_[i].d, n, spec.linear.in), y = p.mat(layers_[i].y, n, spec.linear.out);
    p.ops.dense_fwd({x, w.w, w.bias, spec.function, dropout_of(p, i), d, y});
    x = y;
  }
  return x;
}

void Classifier::loss(const Pass& p, const Final& final, const Stream& stream, const Pooled& pooled, const Mat& logits, const double* dynamic_scale, double* loss_sum) const {
  const bool train = p.mode == Mode::train;
  const int64_t n = pooled.count;
  // The last layer's output becomes its own gradient.
  p.ops.label_loss({p.model.classifier->loss, logits, pooled.labels, train, p.loss_scale(), loss_sum, dynamic_scale, p.varying_at});
  if (!train) return;
  Mat dy = logits;
  for (size_t i = layers_.size(); i-- > 0;) {
    const DenseSpec& spec = p.model.classifier->layers[i];
    const Weights w = weights_of(p, i);
    const Rows& from = i > 0 ? layers_[i - 1].y : x_;
    const Mat x = p.mat(from, n, spec.linear.in), d = p.mat(layers_[i].d, n, spec.linear.in), dx = p.mat(layers_[i].dx, n, spec.linear.in);
    p.ops.dense_bwd({dy, x, d, w.w, spec.function, dropout_of(p, i), dx, w.dw, w.dbias});
    dy = dx;
  }
  final.backward(p, stream, pooled.rows, dy);
}

}  // namespace lowrank
