// The training step. It reads like the algorithm; blocks and head are in native/block.
#include <cmath>

#include "train/engine.h"

namespace lowrank {

void Base::forward(const Pass& p) {
  const Mat x = p.mat(layout_->stream.x);
  p.ops.embedding_fwd({p.tokens.ids, p.weights.embedding, x});
  for (int64_t l = 0; l < model_.layers; l++) {
    if (p.mode == Mode::train && layout_->checkpointed(l)) p.ops.cast({x, p.mat(layout_->block_inputs[size_t(l)])});
    layout_->block(l).forward(p, l, layout_->shared, layout_->stream);
  }
}

void Base::backward(const Pass& p) {
  const Mat x = p.mat(layout_->stream.x), dx = p.mat(layout_->stream.dx);
  const AdapterLayout& adapters = p.adapter.layout;
  if (const Mat rounded = layout_->stream.rounded(p)) p.ops.cast({dx, rounded});
  for (int64_t l = model_.layers - 1; l >= 0; l--) {
    if (!adapters.any_in(l) && !adapters.any_below(l)) break;
    // The highest block's saved values are still there.
    if (layout_->checkpointed(l) && !layout_->highest_checkpointed(l)) {
      Pass again = p;
      again.mode = Mode::recompute;
      p.ops.cast({p.mat(layout_->block_inputs[size_t(l)]), x});
      layout_->block(l).forward(again, l, layout_->shared, layout_->stream);
    }
    layout_->block(l).backward(p, l, layout_->shared, layout_->stream);
  }
}

double Engine::forward_backward(const Batch& batch, float loss_scale, uint64_t rng_stream, int number) {
  const Adapter adapter = this->adapter(number).view();
  if (!adapter.gradients) throw Error("E_STATE", "This engine was opened without training.");
  if (!(loss_scale > 0) || !std::isfinite(loss_scale)) throw Error("E_BATCH", "lossScale must be a positive number.");
  double loss = 0;
  for (const Base::Piece& piece : base_.pieces(batch, base_.options().piece_tokens())) {
    Pass p = base_.pass(piece, Mode::train, adapter);
    p.rng_stream = rng_stream;
    const Head::Learned learned = base_.learned(piece);
    base_.forward(p);
    base_.clear_sum(kLossSum);
    base_.layout().head.loss(p, base_.layout().stream, learned, loss_scale, base_.sum_at(kLossSum));
    loss += base_.read_sum(kLossSum);
    if (learned.count > 0) base_.backward(p);
  }
  return loss;
}

double Engine::optimizer_step(const OptimizerOptions& o, int number) {
  if (!(o.loss_scale > 0) || !std::isfinite(o.loss_scale)) throw Error("E_OPTIONS", "lossScale must be a positive number.");
  AdapterSlot& slot = adapter(number);
  slot.gradients();  // Error E_STATE outside training
  base_.clear_sum(kSquares);
  base_.backend().sum_squares({slot.view().gradients, slot.layout().elements(), base_.sum_at(kSquares)});
  const double norm = std::sqrt(base_.read_sum(kSquares)) / o.loss_scale;
  if (std::isfinite(norm)) {
    // As torch.nn.utils.clip_grad_norm_.
    const bool clips = o.max_grad_norm > 0 && std::isfinite(o.max_grad_norm);
    const double factor = (clips ? std::min(1.0, double(o.max_grad_norm) / (norm + 1e-6)) : 1.0) / o.loss_scale;
    AdamWArgs step{};
    step.lr = o.learning_rate;
    step.beta1 = o.beta1;
    step.beta2 = o.beta2;
    step.eps = o.epsilon;
    step.weight_decay = o.weight_decay;
    step.grad_scale = float(factor);
    step.step = ++slot.steps;
    slot.update(step);
  }
  slot.clear_gradients();
  return norm;
}

double Engine::evaluate(const Batch& batch, int number) {
  double loss = 0;
  for (const Base::Piece& piece : base_.pieces(batch, base_.options().evaluation_tokens())) {
    const Pass p = base_.pass(piece, Mode::evaluate, view(number));
    const Head::Learned learned = base_.learned(piece);
    base_.forward(p);
    base_.clear_sum(kLossSum);
    base_.layout().head.loss(p, base_.layout().stream, learned, 0, base_.sum_at(kLossSum));
    loss += base_.read_sum(kLossSum);
  }
  return loss;
}

std::vector<float> Engine::logits(const Batch& batch, int number) {
  const int64_t vocab = base_.model().vocab;
  std::vector<float> out(batch.ids.size() * size_t(vocab));
  for (const Base::Piece& piece : base_.pieces(batch, base_.options().evaluation_tokens())) {
    const Pass p = base_.pass(piece, Mode::evaluate, view(number));
    base_.forward(p);
    const int64_t bytes = piece.count() * vocab * int64_t(sizeof(float));
    const Memory found = base_.backend().allocate(bytes);
    const Layout& layout = base_.layout();
    Head::logits(p, p.mat(layout.stream.x), p.mat(layout.shared.h), Mat(found.data.get(), DType::f32, piece.count(), vocab));
    base_.backend().download(found.data.get(), bytes, out.data() + piece.first * vocab);
  }
  return out;
}

}  // namespace lowrank
