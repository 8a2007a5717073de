#include "block/classifier.h"

#include "base/error.h"

namespace lowrank {

namespace {

constexpr uint64_t kDropoutStream = uint64_t(1) << 61;  // apart from the adapters' streams, which count up from 0

struct Weights {
  const float *w, *bias;
  float *dw, *dbias;  // null: frozen
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
  return p.mask(spec.dropout, kDropoutStream + layer, p.model.classifier->layers.size(), 0, uint64_t(spec.linear.in));
}

}  // namespace

void Classifier::place(Place& place, const ModelSpec& model) {
  x_ = place.buffer(model.dim, DType::f32);
  h_ = place.buffer(model.dim);
  norm_.place(place, model.dim);
  layers_.resize(model.classifier->layers.size());
  for (size_t i = 0; i < layers_.size(); i++) {
    const LinearSpec& l = model.classifier->layers[i].linear;
    layers_[i] = {place.buffer(l.in, DType::f32), place.buffer(l.out, DType::f32), {}};
    if (place.keeps()) layers_[i].dd = place.buffer(l.in, DType::f32);
  }
}

Mat Classifier::logits(const Pass& p, const Stream& stream, const Pooled& pooled) const {
  const int64_t n = pooled.count, dim = p.model.dim;
  const Mat x = p.mat(x_, n, dim), h = p.mat(h_, n, dim);
  p.ops.gather_rows({p.mat(stream.x), pooled.rows, x});
  norm_.forward(p, p.weights.final_norm, p.model.final_norm, x, h, true);
  Mat from = p.mat(layers_[0].d, n, dim);
  p.ops.cast({h, from});
  for (size_t i = 0; i < layers_.size(); i++) {
    const DenseSpec& spec = p.model.classifier->layers[i];
    const Weights w = weights_of(p, i);
    const Mat d = p.mat(layers_[i].d, n, spec.linear.in), y = p.mat(layers_[i].y, n, spec.linear.out);
    p.ops.dense_fwd({from, w.w, w.bias, spec.function, dropout_of(p, i), d, y});
    from = y;
  }
  return from;
}

void Classifier::loss(const Pass& p, const Stream& stream, const Pooled& pooled, const Mat& logits, const double* dynamic_scale, double* loss_sum) const {
  const bool train = p.mode == Mode::train;
  const int64_t n = pooled.count, dim = p.model.dim;
  // The last layer's output becomes its own gradient: it has no function, so that the output is not read any more.
  p.ops.label_loss({p.model.classifier->loss, logits, pooled.labels, train, p.loss_scale(), loss_sum, dynamic_scale, p.varying_at});
  if (!train) return;
  Mat dy = logits;
  for (size_t i = layers_.size(); i-- > 0;) {
    const DenseSpec& spec = p.model.classifier->layers[i];
    const Weights w = weights_of(p, i);
    const Mat d = p.mat(layers_[i].d, n, spec.linear.in), y = p.mat(layers_[i].y, n, spec.linear.out), dd = p.mat(layers_[i].dd, n, spec.linear.in);
    p.ops.dense_bwd({dy, y, d, w.w, spec.function, dropout_of(p, i), dd, w.dw, w.dbias});
    dy = dd;
  }
  const Mat x = p.mat(x_, n, dim);
  p.ops.zero({x});  // becomes the gradient of the gathered rows
  norm_.backward(p, p.weights.final_norm, p.model.final_norm, dy, x, {});
  p.ops.zero({p.mat(stream.dx)});
  p.ops.scatter_rows({x, pooled.rows, p.mat(stream.dx)});
}

}  // namespace lowrank
