#include "block/block.h"

#include <algorithm>

namespace lowrank {

namespace {

// x = norm(x), where there is such a norm. h: a buffer
void settle(const Pass& p, const Norm& norm, const NormWeights& w, const NormSpec& spec, const Mat& x, const Mat& h) {
  if (!spec) return;
  norm.forward(p, w, spec, x, h, p.trains());
  p.ops.cast({h, x});
}
// The same of the stream's gradient. dh: a buffer
void settle_backward(const Pass& p, const Norm& norm, const NormWeights& w, const NormSpec& spec, const Mat& dh, const Mat& dx, const Mat& rounded) {
  if (!spec) return;
  p.ops.cast({dx, dh});
  p.ops.zero({dx});
  norm.backward(p, w, spec, dh, dx, rounded);
}

}  // namespace

void Stream::place(Place& place, int64_t dim) {
  x = place.buffer(dim, DType::f32);
  if (!place.keeps()) return;
  dx = place.buffer(dim, DType::f32);
  dy = place.buffer(dim);
}

void Block::Shared::place(Place& place, const ModelSpec& model, const AdapterSizes& adapters) {
  linears.place(place, model, adapters);
  const bool apart = model.block.parallel && model.block.mlp.norm;
  h = place.buffer(model.dim);
  mlp_h = apart ? place.buffer(model.dim) : h;
  const auto has_output = [&](const ResidualSpec& residual) { return !residual.direct() || (residual.dropout > 0 && place.keeps()); };
  if (has_output(model.block.attention.residual) || has_output(model.block.mlp.residual)) output = place.buffer(model.dim);
  mlp.place(place, model.block.mlp);
  if (!place.keeps()) return;
  dh = place.buffer(model.dim, DType::f32);
  mlp_dh = apart ? place.buffer(model.dim, DType::f32) : dh;
  attention.place(place, model.block.attention);
}

void Block::place(Place& place, const ModelSpec& model, std::span<const int64_t> ranks, bool dora, const Shared& shared) {
  attention_norm_.place(place, model.dim);
  attention_.place(place, model.block.attention, model.dim, shared.output);
  if (!model.block.parallel || model.block.mlp.norm) mlp_norm_.place(place, model.dim);
  mlp_.place(place, model.block.mlp, model.dim, shared.output);
  if (model.block.attention.residual.after) attention_after_.place(place, model.dim);
  if (model.block.mlp.residual.after) mlp_after_.place(place, model.dim);
  linears_.place(place, model.block.linears(), ranks, dora, shared.linears);
}

void Block::forward(const Pass& p, int64_t layer, const Shared& shared, const Stream& stream) const {
  const BlockWeights& w = p.weights.blocks[size_t(layer)];
  const BlockSpec& block = p.model.block;
  if (block.parallel) return forward_parallel(p, layer, shared, stream);
  const Mat x = p.mat(stream.x), h = p.mat(shared.h);
  attention_norm_.forward(p, w.norms[BlockSpec::kAttentionNorm], block.attention.norm, x, h, p.trains());
  attention_.forward(p, layer, linears_, h, stream);
  settle(p, attention_after_, w.norms[BlockSpec::kAttentionAfter], block.attention.residual.after, x, h);
  mlp_norm_.forward(p, w.norms[BlockSpec::kMlpNorm], block.mlp.norm, x, h, p.trains());
  mlp_.forward(p, layer, linears_, shared.mlp, h, stream);
  settle(p, mlp_after_, w.norms[BlockSpec::kMlpAfter], block.mlp.residual.after, x, h);
}

void Block::backward(const Pass& p, int64_t layer, const Shared& shared, const Stream& stream) const {
  const BlockWeights& w = p.weights.blocks[size_t(layer)];
  const BlockSpec& block = p.model.block;
  if (block.parallel) return backward_parallel(p, layer, shared, stream);
  const NormWeights &attention_norm = w.norms[BlockSpec::kAttentionNorm], &mlp_norm = w.norms[BlockSpec::kMlpNorm];
  const Mat h = p.mat(shared.h), dh = p.mat(shared.dh), dx = p.mat(stream.dx), rounded = stream.rounded(p);
  const bool below = p.adapter.layout.any_below(layer);
  settle_backward(p, mlp_after_, w.norms[BlockSpec::kMlpAfter], block.mlp.residual.after, dh, dx, rounded);
  // A norm's output is computed again where a linear that reads it has an adapter.
  if (Mlp::reads_input(p, layer)) mlp_norm_.again(p, mlp_norm, h);
  mlp_.backward(p, layer, linears_, shared.mlp, stream, h, dh);
  mlp_norm_.backward(p, mlp_norm, block.mlp.norm, dh, dx, rounded);
  settle_backward(p, attention_after_, w.norms[BlockSpec::kAttentionAfter], block.attention.residual.after, dh, dx, rounded);
  if (Attention::reads_input(p, layer)) attention_norm_.again(p, attention_norm, h);
  attention_.backward(p, layer, linears_, shared.attention, stream, h, below ? dh : Mat(), false);
  if (below) attention_norm_.backward(p, attention_norm, block.attention.norm, dh, dx, rounded);
}

// Both norms read the stream before either part adds to it.
void Block::forward_parallel(const Pass& p, int64_t layer, const Shared& shared, const Stream& stream) const {
  const BlockWeights& w = p.weights.blocks[size_t(layer)];
  const BlockSpec& block = p.model.block;
  const Mat x = p.mat(stream.x), h = p.mat(shared.h), mlp_h = p.mat(shared.mlp_h);
  attention_norm_.forward(p, w.norms[BlockSpec::kAttentionNorm], block.attention.norm, x, h, p.trains());
  if (block.mlp.norm) mlp_norm_.forward(p, w.norms[BlockSpec::kMlpNorm], block.mlp.norm, x, mlp_h, p.trains());
  attention_.forward(p, layer, linears_, h, stream);
  mlp_.forward(p, layer, linears_, shared.mlp, mlp_h, stream);
}

// Both parts read the output's gradient before either norm adds to it. With one norm the parts' gradients of its output add up.
void Block::backward_parallel(const Pass& p, int64_t layer, const Shared& shared, const Stream& stream) const {
  const BlockWeights& w = p.weights.blocks[size_t(layer)];
  const BlockSpec& block = p.model.block;
  const NormWeights &attention_norm = w.norms[BlockSpec::kAttentionNorm], &mlp_norm = w.norms[BlockSpec::kMlpNorm];
  const Mat h = p.mat(shared.h), mlp_h = p.mat(shared.mlp_h), dx = p.mat(stream.dx), rounded = stream.rounded(p);
  const bool below = p.adapter.layout.any_below(layer), apart = bool(block.mlp.norm), reads = Attention::reads_input(p, layer);
  const Mat dh = below ? p.mat(shared.dh) : Mat(), mlp_dh = below ? p.mat(shared.mlp_dh) : Mat();
  if (reads || (!apart && Mlp::reads_input(p, layer))) attention_norm_.again(p, attention_norm, h);
  if (apart && Mlp::reads_input(p, layer)) mlp_norm_.again(p, mlp_norm, mlp_h);
  mlp_.backward(p, layer, linears_, shared.mlp, stream, mlp_h, mlp_dh);
  attention_.backward(p, layer, linears_, shared.attention, stream, h, dh, !apart);
  if (!below) return;
  if (apart) mlp_norm_.backward(p, mlp_norm, block.mlp.norm, mlp_dh, dx, {});
  attention_norm_.backward(p, attention_norm, block.attention.norm, dh, dx, rounded);
}

}  // namespace lowrank
