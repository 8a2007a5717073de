// The training step. It reads like the algorithm; blocks and head are in native/block.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/random_streams.h"
#include "train/engine.h"

namespace lowrank {

namespace {
Dropout embedding_dropout(const Pass& p) {
  return p.base_dropout(p.model.embedding_dropout, ModelSpec::kEmbeddingDropout, uint64_t(p.model.dim));
}
}

void Base::keep_input(const Pass& p, int64_t layer, const Mat& x) {
  if (!options_.offload_checkpoints) return p.ops.cast({x, p.mat(layout_->block_inputs[size_t(layer)])});
  const Mat between = p.mat(layout_->between);
  p.ops.acquire(Lane::checkpoints);
  p.ops.cast({x, between});
  p.ops.release(Lane::checkpoints);
  if (layer < layout_->highest_computed_again()) p.ops.copy(Lane::checkpoints, between.data, input_bytes(p), offloaded_input(layer));  // else it is the next one that is needed
}

void Base::begin_input(const Pass& p, int64_t layer) {
  if (!options_.offload_checkpoints) return;
  p.ops.copy(Lane::checkpoints, offloaded_input(layer), input_bytes(p), p.mat(layout_->between).data);
}

void Base::input_again(const Pass& p, int64_t layer, const Mat& x) {
  if (!options_.offload_checkpoints) return p.ops.cast({p.mat(layout_->block_inputs[size_t(layer)]), x});
  p.ops.acquire(Lane::checkpoints);
  p.ops.cast({p.mat(layout_->between), x});
  p.ops.release(Lane::checkpoints);
}

void Base::embed_from_host(const Pass& p, const int32_t* ids) {
  const int64_t row = options_.offloaded_row;
  char* const rows = static_cast<char*>(table_rows_.data.get());
  p.ops.wait(Lane::embedding);  // the rows before have left
  for (int64_t i = 0; i < p.tokens.count; i++) std::memcpy(rows + i * row, weights_.embedding.row(weights_.embedding.source_row(ids[i])), size_t(row));
  Weight table = weights_.embedding;
  table.data = at<char>(layout_->table);
  table.rows = p.tokens.count;
  table.interleaved = 0;
  p.ops.copy(Lane::embedding, rows, p.tokens.count * row, at<char>(layout_->table));
  p.ops.acquire(Lane::embedding);
  p.ops.embedding_fwd({at<int32_t>(layout_->numbers), table, embedded(p), float(model_.embedding_scale)});
  p.ops.release(Lane::embedding);
}

void Base::forward(const Pass& p) {
  const Mat x = p.mat(layout_->stream.x);
  const float scale = float(model_.embedding_scale);
  const int64_t dim = model_.table_dim();
  const Mat e = embedded(p);
  if (options_.offloaded_row == 0) p.ops.embedding_fwd({p.tokens.ids, p.embedding(), e, scale});  // else it was the pass's first operation
  if (p.own_tokens.count > 0) {
    const Mat own = p.mat(layout_->own_embeddings, p.own_tokens.count, dim);
    p.ops.embedding_fwd({p.own_tokens.rows, p.rows(p.adapter.layout.embedding_rows()), own, scale});
    p.ops.scatter_rows({own, p.own_tokens.places, e});
  }
  if (p.mode == Mode::train && p.adapter.spec.neftune_alpha > 0) {
    const NoiseArgs noise{e, 0, p.adapter.spec.seed, streams::kNoise, 0, uint64_t(dim), p.varying_at};
    p.ops.add_noise(p.varying_at ? noise : noise.of(p.varying));
  }
  if (model_.embedding_linear) {
    const Mat rounded = p.mat(layout_->embedded_act);
    p.ops.cast({e, rounded});
    layout_->embedding_linear.forward(p, ModelSpec::kBeforeBlocks, 0, rounded, x, false);
  }
  if (p.weights.positions.data) p.ops.embedding_fwd({p.tokens.positions, p.weights.positions, x, 1, true});
  if (p.tokens.types) p.ops.embedding_fwd({p.tokens.types, p.weights.token_types, x, 1, true});
  if (model_.embedding_norm) {
    const Mat h = p.mat(layout_->shared.h);
    if (p.mode == Mode::train && p.adapter.layout.embedding_trains()) layout_->embedding_norm.forward(p, p.weights.embedding_norm, model_.embedding_norm, x, h, true);
    else Norm::once(p, p.weights.embedding_norm, model_.embedding_norm, x, h);
    p.ops.cast({h, x});
  }
  const Dropout dropout = embedding_dropout(p);
  if (dropout.active()) p.ops.dropout({.x = x, .y = x, .dropout = dropout});
  for (int64_t l = 0; l < model_.layers; l++) {
    if (p.mode == Mode::train && layout_->computed_again(l)) keep_input(p, l, x);
    layout_->block(l).forward(p, l, layout_->shared, layout_->stream);
  }
}

void Base::backward(const Pass& p, const std::function<void(int64_t layer)>& done) {
  const Mat x = p.mat(layout_->stream.x), dx = p.mat(layout_->stream.dx);
  const AdapterLayout& adapters = p.adapter.layout;
  if (const Mat rounded = layout_->stream.rounded(p)) p.ops.cast({dx, rounded});
  const auto goes_through = [&](int64_t l) { return l >= 0 && (adapters.any_in(l) || adapters.any_below(l)); };
  for (int64_t l = model_.layers - 1; goes_through(l); l--) {
    if (layout_->computed_again(l)) {
      Pass again = p;
      again.mode = Mode::recompute;
      input_again(p, l, x);
      if (goes_through(l - 1)) begin_input(p, l - 1);
      layout_->block(l).forward(again, l, layout_->shared, layout_->stream);
    }
    layout_->block(l).backward(p, l, layout_->shared, layout_->stream);
    if (done) done(l);
  }
  if (!adapters.any_below(0)) return;
  const Dropout dropout = embedding_dropout(p);
  if (dropout.active()) p.ops.dropout({.x = dx, .y = dx, .dropout = dropout});
  if (model_.embedding_norm) {
    const Mat dh = p.mat(layout_->shared.dh);
    p.ops.cast({dx, dh});
    p.ops.zero({dx});
    layout_->embedding_norm.backward(p, p.weights.embedding_norm, model_.embedding_norm, dh, dx, {});
  }
  const float scale = float(model_.embedding_scale);
  const int64_t dim = model_.table_dim();
  Mat de = dx;
  if (model_.embedding_linear) {
    const Mat dy = layout_->stream.gradient(p);
    if (const Mat rounded = layout_->stream.rounded(p)) p.ops.cast({dx, rounded});
    de = adapters.embedding_trains() ? p.mat(layout_->embedded) : Mat();
    layout_->embedding_linear.backward(p, ModelSpec::kBeforeBlocks, 0, {&dy, 1}, p.mat(layout_->embedded_act), de, false);
  }
  const auto table = [&](int64_t offset, int64_t rows) { return Mat(p.gradient(offset), DType::f32, rows, dim); };
  if (adapters.embedding() >= 0) p.ops.embedding_bwd({p.tokens.ids, de, table(adapters.embedding(), model_.vocab), scale});
  if (p.own_tokens.count == 0) return;
  const Mat own = p.mat(layout_->own_embeddings, p.own_tokens.count, dim);
  p.ops.gather_rows({de, p.own_tokens.places, own});
  const RowsPlace& rows = adapters.embedding_rows();
  p.ops.embedding_bwd({p.own_tokens.rows, own, table(rows.offset, rows.count()), scale});
}

std::function<void()> Engine::training_pass(const Base::Piece& piece, AdapterSlot& slot, const Varying& varying, std::function<void(int64_t)> done, Backend::RepeatKey& key) {
  const Pass p = base_.pass(piece, Mode::train, slot.begin_step(base_.weights()), varying);
  double* const loss = slot.window_loss();
  const double* const scale = slot.loss_scale();
  // An adapter's own buffers stay where they are; the gradients' may move when another one comes.
  key.insert(key.end(), {reinterpret_cast<intptr_t>(p.adapter.gradients), piece.count(), piece.sequences(), p.own_tokens.count});
  if (base_.model().classifier) {
    return [=, this, pooled = base_.pooled(piece)] {
      const Layout& layout = base_.layout();
      base_.forward(p);
      const Mat logits = layout.classifier.logits(p, layout.final, layout.stream, pooled);
      layout.classifier.loss(p, layout.final, layout.stream, pooled, logits, scale, loss);
      base_.backward(p, done);
    };
  }
  const Head::Learned learned = base_.learned(piece);
  key.push_back(learned.count);
  return [=, this] {
    const Layout& layout = base_.layout();
    base_.forward(p);
    layout.head.loss(p, layout.final, layout.stream, learned, scale, loss);
    if (learned.count > 0) base_.backward(p, done);
  };
}

void Engine::plan_passes(AdapterSlot& slot) {
  slot.begin_step(base_.weights());  // DoRA's factors, which are computed once
  base_.backend().plan([&] {
    // The largest piece, of as many texts as there can be: a classifier's last layers have a row for each.
    const int64_t count = base_.options().piece_tokens();
    const std::vector<int32_t> zeros(static_cast<size_t>(count));
    const std::vector<float> labels(base_.model().classifier ? zeros.size() * size_t(base_.model().classifier->label_width()) : 0);
    Base::Piece piece{zeros.data(), zeros.data(), {}};
    for (int32_t i = 0; i <= count; i++) piece.offsets.push_back(i);
    if (!labels.empty()) piece.labels = labels.data();
    Backend::RepeatKey key;
    training_pass(piece, slot, {}, {}, key)();
  });
}

void Engine::forward_backward(const Batch& batch, double loss_scale, uint64_t rng_stream, int number, bool is_last) {
  AdapterSlot& slot = adapter(number);
  slot.expect_no_sums();
  slot.window_loss();  // Error E_STATE outside training
  if (!(loss_scale > 0) || !std::isfinite(loss_scale)) throw Error("E_BATCH", "lossScale must be a positive number.");
  if (base_.model().classifier && batch.labels.empty()) throw Error("E_BATCH", "Batch: a classifier learns from labels, and it has none.");
  const std::vector<Base::Piece> pieces = base_.pieces(batch, base_.options().piece_tokens());
  if (slot.is_new()) plan_passes(slot);
  // As transformers scales the noise: by the longest text of the micro-batch.
  int64_t longest = 0;
  for (size_t s = 0; s + 1 < batch.offsets.size(); s++) longest = std::max<int64_t>(longest, batch.offsets[s + 1] - batch.offsets[s]);
  const float noise = float(slot.spec().neftune_alpha / std::sqrt(double(longest) * double(base_.model().table_dim())));
  const Varying varying{.rng_stream = rng_stream, .loss_scale = loss_scale, .noise = noise};
  for (const Base::Piece& piece : pieces) {
    std::function<void(int64_t)> done;
    if (is_last && group_->size() > 1 && slot.sums_early() && &piece == &pieces.back()) done = [&](int64_t layer) { slot.start_sums(*sums_, layer); };
    Backend::RepeatKey key = {number};
    const std::function<void()> pass = training_pass(piece, slot, varying, done, key);
    base_.backend().repeat(key, pass);
  }
}

void Engine::optimizer_step(const OptimizerOptions& options, int number) {
  AdapterSlot& slot = adapter(number);
  check_optimizer_options(options);  // before the sums, which a step that is asked for again would add once more
  slot.reduce(*group_, *sums_, device_sums_.reducer.get());
  slot.step(options);
}

double Engine::evaluate(const Batch& batch, int number) {
  require_head();
  double sum = 0;
  for (const Base::Piece& piece : base_.pieces(batch, base_.options().evaluation_tokens())) {
    const Pass p = base_.pass(piece, Mode::evaluate, view(number));
    const Head::Learned learned = base_.learned(piece);
    base_.forward(p);
    const Buffer loss(base_.backend(), base_.at<double>(base_.layout().loss));
    double found = 0;
    loss.write(0, sizeof found, &found);
    base_.layout().head.loss(p, base_.layout().final, base_.layout().stream, learned, nullptr, base_.at<double>(base_.layout().loss));
    loss.read(0, sizeof found, &found);
    sum += found;
  }
  return sum;
}

Engine::Classified Engine::classify(const Batch& batch, int number) {
  require_classifier();
  const int64_t labels = base_.model().classifier->labels();
  Classified found;
  found.logits.resize((batch.offsets.empty() ? 0 : batch.offsets.size() - 1) * size_t(labels));
  for (const Base::Piece& piece : base_.pieces(batch, base_.options().evaluation_tokens())) {
    const Pass p = base_.pass(piece, Mode::evaluate, view(number));
    const Classifier::Pooled pooled = base_.pooled(piece);
    base_.forward(p);
    const Layout& layout = base_.layout();
    const Mat logits = layout.classifier.logits(p, layout.final, layout.stream, pooled);
    base_.backend().download(logits.data, piece.sequences() * labels * int64_t(sizeof(float)), found.logits.data() + piece.first_sequence * labels);
    if (!pooled.labels) continue;
    const Buffer loss(base_.backend(), base_.at<double>(layout.loss));
    double sum = 0;
    loss.write(0, sizeof sum, &sum);
    layout.classifier.loss(p, layout.final, layout.stream, pooled, logits, nullptr, base_.at<double>(layout.loss));
    loss.read(0, sizeof sum, &sum);
    found.loss += sum;
  }
  return found;
}

std::vector<float> Engine::logits(const Batch& batch, int number) {
  require_head();
  const int64_t vocab = base_.model().vocab;
  std::vector<float> out(batch.ids.size() * size_t(vocab));
  for (const Base::Piece& piece : base_.pieces(batch, base_.options().evaluation_tokens())) {
    const Pass p = base_.pass(piece, Mode::evaluate, view(number));
    base_.forward(p);
    const int64_t bytes = piece.count() * vocab * int64_t(sizeof(float));
    const Memory found = base_.backend().allocate(bytes);
    base_.logits(p, p.mat(base_.layout().stream.x), Mat(found.data.get(), DType::f32, piece.count(), vocab));
    base_.backend().download(found.data.get(), bytes, out.data() + piece.first * vocab);
  }
  return out;
}

}  // namespace lowrank
