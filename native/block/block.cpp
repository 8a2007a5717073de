#include "block/block.h"

#include <algorithm>

namespace lowrank {

void Stream::place(Place& place, int64_t dim) {
  x = place.buffer(dim, DType::f32);
  if (!place.keeps()) return;
  dx = place.buffer(dim, DType::f32);
  dy = place.buffer(dim);
}

void Block::Shared::place(Place& place, const ModelSpec& model, int64_t most_rank, bool dora) {
  if (!place.keeps()) {
    linears.u = place.kept(most_rank);
    int64_t widest = 0;
    for (const LinearSpec* linear : model.block.linears()) widest = std::max(widest, linear->out);
    if (dora) linears.z = place.kept(widest);
  }
  h = place.buffer(model.dim);
  if (!model.block.attention.residual.direct() || !model.block.mlp.residual.direct()) output = place.buffer(model.dim);
  mlp.place(place, model.block.mlp);
  if (!place.keeps()) return;
  dh = place.buffer(model.dim, DType::f32);
  attention.place(place, model.block.attention);
}

void Block::place(Place& place, const ModelSpec& model, std::span<const int64_t> ranks, bool dora, const Shared& shared) {
  attention_norm_.place(place, model.dim);
  attention_.place(place, model.block.attention, model.dim, shared.output);
  mlp_norm_.place(place, model.dim);
  mlp_.place(place, model.block.mlp, model.dim, shared.output);
  linears_.place(place, model.block, ranks, dora, shared.linears);
}

void Block::forward(const Pass& p, int64_t layer, const Shared& shared, const Stream& stream) const {
  const BlockWeights& w = p.weights.blocks[size_t(layer)];
  const BlockSpec& block = p.model.block;
  const Mat x = p.mat(stream.x), h = p.mat(shared.h);
  attention_norm_.forward(p, w.norms[BlockSpec::kAttentionNorm], block.attention.norm, x, h, p.trains());
  attention_.forward(p, layer, linears_, h, stream);
  mlp_norm_.forward(p, w.norms[BlockSpec::kMlpNorm], block.mlp.norm, x, h, p.trains());
  mlp_.forward(p, layer, linears_, shared.mlp, h, stream);
}

void Block::backward(const Pass& p, int64_t layer, const Shared& shared, const Stream& stream) const {
  const BlockWeights& w = p.weights.blocks[size_t(layer)];
  const float *const attention_norm = w.norms[BlockSpec::kAttentionNorm], *const mlp_norm = w.norms[BlockSpec::kMlpNorm];
  const Mat h = p.mat(shared.h), dh = p.mat(shared.dh), dx = p.mat(stream.dx), rounded = stream.rounded(p);
  const bool below = p.adapter.layout.any_below(layer);
  // A norm's output is computed again where a linear that reads it has an adapter.
  if (Mlp::reads_input(p, layer)) mlp_norm_.again(p, mlp_norm, h);
  mlp_.backward(p, layer, linears_, shared.mlp, stream, h, dh);
  mlp_norm_.backward(p, mlp_norm, dh, dx, rounded);
  if (Attention::reads_input(p, layer)) attention_norm_.again(p, attention_norm, h);
  attention_.backward(p, layer, linears_, shared.attention, stream, h, below ? dh : Mat());
  if (below) attention_norm_.backward(p, attention_norm, dh, dx, rounded);
}

}  // namespace lowrank
