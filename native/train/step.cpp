// The training step. It reads like the algorithm: each line is one operation of ops/operations.inc.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "train/engine.h"

namespace lowrank {

void Engine::check_batch(const Batch& b) const {
  const auto fail = [](const std::string& what) { throw Error("E_BATCH", "Batch: " + what + "."); };
  const int64_t m = int64_t(b.ids.size());
  if (m < 1 || b.targets.size() != b.ids.size()) fail("it must have a sequence, and as many targets as tokens");
  if (b.offsets.size() < 2 || b.offsets.front() != 0 || b.offsets.back() != m) {
    fail("offsets must start at 0 and end at the number of tokens");
  }
  for (size_t s = 0; s + 1 < b.offsets.size(); s++) {
    const int64_t n = int64_t(b.offsets[s + 1]) - b.offsets[s];
    if (n < 1) fail("sequence " + std::to_string(s) + " is empty");
    if (n > options_.max_sequence) {
      fail("sequence " + std::to_string(s) + " has " + std::to_string(n) + " tokens, but the engine was opened for " +
           std::to_string(options_.max_sequence) + " (maxSequence)");
    }
  }
  for (int64_t i = 0; i < m; i++) {
    const int32_t id = b.ids[size_t(i)], t = b.targets[size_t(i)];
    if (id < 0 || id >= model_.vocab || (t != kIgnore && (t < 0 || t >= model_.vocab))) {
      fail("token " + std::to_string(id < 0 || id >= model_.vocab ? id : t) + " is outside the vocabulary of " +
           std::to_string(model_.vocab) + ": the tokenizer does not belong to this model");
    }
  }
}

std::vector<Engine::Tokens> Engine::pieces(const Batch& b, int64_t most_tokens) {
  check_batch(b);
  const size_t sequences = b.offsets.size() - 1;
  positions_.resize(b.ids.size());
  piece_offsets_.clear();
  std::vector<std::pair<size_t, size_t>> ranges;  // of sequences
  int64_t longest = 0, taken = 0;
  for (size_t s = 0; s < sequences; s++) {
    const int32_t begin = b.offsets[s], length = b.offsets[s + 1] - begin;
    for (int32_t i = 0; i < length; i++) positions_[size_t(begin + i)] = i;
    longest = std::max<int64_t>(longest, length);
    if (ranges.empty() || taken + length > most_tokens) {
      ranges.push_back({s, s});
      piece_offsets_.push_back(0);
      taken = 0;
    }
    taken += length;
    ranges.back().second = s + 1;
    piece_offsets_.push_back(int32_t(taken));
  }
  rope_.use_length(longest);
  std::vector<Tokens> list;
  const int32_t* offsets = piece_offsets_.data();
  for (const auto& [first, last] : ranges) {
    const int64_t n = int64_t(last - first);
    const int32_t at = b.offsets[first];
    list.push_back({b.ids.data() + at, b.targets.data() + at, positions_.data() + at, offsets, offsets, offsets[n], n, at});
    offsets += n + 1;
  }
  return list;
}

AttentionShape Engine::attention_shape(const Tokens& t) const {
  const AttentionSpec& a = model_.block.attention;
  return {a.heads, a.kv_heads, a.head_dim, 1.f / std::sqrt(float(a.head_dim)), t.q_offsets, t.kv_offsets, t.sequences};
}

Lora Engine::lora(int64_t layer, size_t linear, uint64_t rng_stream, bool train) const {
  const int i = adapters_.index(layer, linear);
  const AdapterSite& s = adapters_.sites()[size_t(i)];
  Lora l;
  l.a = arena_.at<float>(layout_->parameters) + s.a_offset;
  l.b = arena_.at<float>(layout_->parameters) + s.b_offset;
  if (options_.training) {
    l.da = arena_.at<float>(layout_->gradients) + s.a_offset;
    l.db = arena_.at<float>(layout_->gradients) + s.b_offset;
  }
  l.rank = adapters_.rank();
  l.scale = spec_.scale();
  if (train && spec_.dropout > 0) {
    l.dropout = {float(spec_.dropout), spec_.seed, rng_stream * adapters_.sites().size() + uint64_t(i),
                 uint64_t(first_row_ * s.in)};
  }
  return l;
}

void Engine::linear_fwd(int64_t layer, size_t linear, const Mat& x, const Mat& y, bool accumulate, const Mat& gate, const Mat& a) {
  const LinearWeights& w = weights_.blocks[size_t(layer)].linears[linear];
  LinearFwdArgs args{.x = x, .w = w.w, .bias = w.bias, .lora = nullptr, .u = {}, .y = y, .accumulate = accumulate, .gate = gate, .a = a};
  Lora l;
  if (has_adapter(layer, linear)) {
    l = lora(layer, linear, rng_stream_, dropout_on_);
    args.lora = &l;
    args.u = act(saved(layer).lora_u[linear], x.rows, l.rank);
  }
  if (profile_) profile_->set_module(names_[linear]);
  backend_->linear_fwd(args);
}

void Engine::linears_bwd(int64_t layer, size_t first, std::span<const Mat> dys, const Mat& x, const Mat& dx, const Mat& gate, const Mat& up) {
  LinearBwdArgs args[kMostLinears];
  Lora loras[kMostLinears];
  size_t n = 0;
  std::string names;
  for (size_t linear = first; linear < first + dys.size(); linear++) {
    const Mat& dy = dys[linear - first];
    const bool adapted = has_adapter(layer, linear);
    if (profile_) names += (names.empty() ? "" : ", ") + names_[linear];
    if (!dx && !adapted) continue;
    LinearBwdArgs& a = args[n];
    a = {.dy = dy, .x = x, .w = weights_.blocks[size_t(layer)].linears[linear].w, .u = {}, .dx = dx, .gate = gate, .up = up};
    if (adapted) {
      loras[n] = lora(layer, linear, rng_stream_, dropout_on_);
      a.lora = &loras[n];
      a.u = act(saved(layer).lora_u[linear], dy.rows, loras[n].rank);
    }
    if (n > 0) args[n - 1].also = &a;
    n++;
  }
  if (profile_) profile_->set_module(names);
  if (n > 0) backend_->linear_bwd(args[0]);
}

bool Engine::has_adapter(int64_t layer, size_t first, size_t count) const {
  for (size_t i = first; i < first + count; i++) {
    if (has_adapter(layer, i)) return true;
  }
  return false;
}

void Engine::block_forward(int64_t layer, const Tokens& t, Mode mode) {
  const BlockWeights& w = weights_.blocks[size_t(layer)];
  const BlockOffsets& b = saved(layer);
  const BlockSpec& block = model_.block;
  const AttentionSpec& attention = block.attention;
  const int64_t m = t.count, c = model_.dim, kv_dim = attention.kv_dim();
  const bool train = mode == Mode::train || mode == Mode::recompute;
  const Mat x = f32(layout_->residual, m, c), h = act(layout_->h, m, c), o = act(b.o, m, attention.q_dim());

  // Keys and values go straight into the cache when generating, where each is a linear of its own.
  Mat outputs[kMostAttentionInputs], keys, values;
  for (size_t i = 0; i < attention.inputs.size(); i++) outputs[i] = act(b.inputs[i], m, attention.inputs[i].out);
  if (mode == Mode::generate) {
    const int64_t past = t.kv_offsets[1] - m, layer_offset = layer * options_.cache_tokens * kv_dim * dtype_bytes(options_.act);
    keys = act(layout_->cache_k + layer_offset, t.kv_offsets[1], kv_dim);
    values = act(layout_->cache_v + layer_offset, t.kv_offsets[1], kv_dim);
    outputs[attention.k.linear] = keys.slice(past, m);
    outputs[attention.v.linear] = values.slice(past, m);
  }

  // x += out(attention(rope(q), rope(k), v)),  q, k, v = linears of norm(x)
  const float attention_eps = float(attention.norm.eps), mlp_eps = float(block.mlp.norm.eps);
  backend_->norm_fwd({x, w.attention_norm, attention_eps, h, train ? arena_.at<float>(b.attention_rstd) : nullptr, train ? act(b.x, m, c) : Mat()});
  for (size_t i = 0; i < attention.inputs.size(); i++) linear_fwd(layer, i, h, outputs[i], false);
  const Mat q = outputs[attention.q.linear], k = outputs[attention.k.linear], v = outputs[attention.v.linear];
  backend_->rope({q, t.positions, rope_.cos(), rope_.sin(), attention.heads, attention.head_dim, false});
  backend_->rope({k, t.positions, rope_.cos(), rope_.sin(), attention.kv_heads, attention.head_dim, false});
  backend_->attention_fwd({attention_shape(t), q, keys ? keys : k, values ? values : v, o, train ? arena_.at<float>(b.lse) : nullptr});
  linear_fwd(layer, block.out(), o, x, true);

  // x += down(silu(gate) * up),  gate, up = linears of norm(x)
  const int64_t f = block.mlp.up.out;
  const Mat g = act(b.g, m, f), u = act(b.u, m, f), a = act(layout_->a, m, f);
  backend_->norm_fwd({x, w.mlp_norm, mlp_eps, h, train ? arena_.at<float>(b.mlp_rstd) : nullptr, train ? act(b.x_mid, m, c) : Mat()});
  linear_fwd(layer, block.gate(), h, g, false);
  if (mode == Mode::recompute && !has_adapter(layer, block.down())) return linear_fwd(layer, block.up(), h, u, false);
  linear_fwd(layer, block.up(), h, u, false, g, a);
  linear_fwd(layer, block.down(), a, x, true);
}

// Takes the gradient of the block's output from d_residual and leaves that of its input there. The base is frozen: only
// adapters get gradients, and nothing is computed below the lowest of them.
void Engine::block_backward(int64_t layer, const Tokens& t) {
  const BlockWeights& w = weights_.blocks[size_t(layer)];
  const BlockOffsets& b = saved(layer);
  const BlockSpec& block = model_.block;
  const AttentionSpec& attention = block.attention;
  const int64_t m = t.count, c = model_.dim, q_dim = attention.q_dim(), f = block.mlp.up.out;
  const Mat dx = f32(layout_->d_residual, m, c), dh = f32(layout_->dh, m, c), h = act(layout_->h, m, c);
  // Rounded for the products by whoever changed dx last; in f32 they read it where it is.
  const Mat dy = options_.act == DType::f32 ? dx : act(layout_->dy, m, c), rounded = options_.act == DType::f32 ? Mat() : dy;

  // MLP: SwiGLU's output is recomputed where down_proj has an adapter, the norm's output where gate or up has one.
  const Mat g = act(b.g, m, f), u = act(b.u, m, f), a = act(layout_->a, m, f), da = act(layout_->da, m, f);
  const Mat x_mid = act(b.x_mid, m, c);
  const float* mlp_rstd = arena_.at<float>(b.mlp_rstd);
  if (has_adapter(layer, block.down())) backend_->swiglu_fwd({g, u, a});
  linears_bwd(layer, block.down(), std::array{dy}, a, da, g, u);
  const Mat dg = g, du = u;
  if (has_adapter(layer, block.gate(), 2)) backend_->norm_apply({x_mid, w.mlp_norm, mlp_rstd, h});
  linears_bwd(layer, block.gate(), std::array{dg, du}, h, dh);
  backend_->norm_bwd({dh, x_mid, w.mlp_norm, mlp_rstd, dx, rounded});

  // Attention
  const size_t inputs = attention.inputs.size();
  Mat outputs[kMostAttentionInputs], d_outputs[kMostAttentionInputs];
  for (size_t i = 0; i < inputs; i++) {
    outputs[i] = act(b.inputs[i], m, attention.inputs[i].out);
    d_outputs[i] = act(layout_->d_inputs[i], m, attention.inputs[i].out);
  }
  const Mat q = outputs[attention.q.linear], k = outputs[attention.k.linear], v = outputs[attention.v.linear], o = act(b.o, m, q_dim);
  const Mat dq = d_outputs[attention.q.linear], dk = d_outputs[attention.k.linear], dv = d_outputs[attention.v.linear];
  const Mat d_o = act(layout_->d_o, m, q_dim), x = act(b.x, m, c);
  const float* attention_rstd = arena_.at<float>(b.attention_rstd);
  const bool below = adapters_.any_below(layer), here = has_adapter(layer, 0, inputs);
  linears_bwd(layer, block.out(), std::array{dy}, o, below || here ? d_o : Mat());
  if (!below && !here) return;
  backend_->attention_bwd({attention_shape(t), q, k, v, o, d_o, arena_.at<float>(b.lse), dq, dk, dv});
  backend_->rope({dq, t.positions, rope_.cos(), rope_.sin(), attention.heads, attention.head_dim, true});
  backend_->rope({dk, t.positions, rope_.cos(), rope_.sin(), attention.kv_heads, attention.head_dim, true});
  if (here) backend_->norm_apply({x, w.attention_norm, attention_rstd, h});
  linears_bwd(layer, 0, std::span(d_outputs).first(inputs), h, below ? dh : Mat());
  if (below) backend_->norm_bwd({dh, x, w.attention_norm, attention_rstd, dx, rounded});
}

void Engine::forward(const Tokens& t, Mode mode) {
  backend_->embedding_fwd({t.ids, weights_.embedding, f32(layout_->residual, t.count, model_.dim)});
  for (int64_t l = 0; l < model_.layers; l++) {
    if (mode == Mode::train && checkpointed(l)) {
      backend_->cast({f32(layout_->residual, t.count, model_.dim), block_input(l, t.count)});
    }
    block_forward(l, t, mode);
  }
}

double Engine::head(const Tokens& t, float loss_scale) {
  const int64_t m = t.count, c = model_.dim;
  supervised_.clear();
  labels_.clear();
  for (int64_t i = 0; i < m; i++) {
    if (t.targets[i] == kIgnore) continue;
    supervised_.push_back(int32_t(i));
    labels_.push_back(t.targets[i]);
  }
  const int64_t n = int64_t(labels_.size());
  const bool train = loss_scale > 0;
  if (train) backend_->zero({f32(layout_->d_residual, m, c)});
  if (n == 0) return 0;

  const Mat x = f32(layout_->head_x, n, c), h = act(layout_->head_h, n, c), kept = act(layout_->head_saved, n, c);
  float* rstd = arena_.at<float>(layout_->head_rstd);
  backend_->gather_rows({f32(layout_->residual, m, c), supervised_.data(), x});
  backend_->norm_fwd({x, weights_.final_norm, float(model_.final_norm.eps), h, rstd, kept});
  double loss = 0;
  const Mat dh = train ? f32(layout_->head_dh, n, c) : Mat();
  backend_->head({h, weights_.head, labels_.data(), loss_scale, dh, &loss});
  if (train) {
    backend_->zero({x});  // becomes the gradient of the gathered rows
    backend_->norm_bwd({dh, kept, weights_.final_norm, rstd, x, {}});
    backend_->scatter_rows({x, supervised_.data(), f32(layout_->d_residual, m, c)});
  }
  return loss;
}

double Engine::forward_backward(const Batch& batch, float loss_scale, uint64_t rng_stream) {
  training_buffer(0);  // Error E_STATE outside training
  if (!(loss_scale > 0) || !std::isfinite(loss_scale)) throw Error("E_BATCH", "lossScale must be a positive number.");
  rng_stream_ = rng_stream;
  double loss = 0;
  for (const Tokens& t : pieces(batch, options_.piece_tokens())) {
    layout_->place_training(t.count);
    first_row_ = t.first;
    dropout_on_ = true;
    forward(t, Mode::train);
    loss += head(t, loss_scale);
    if (!labels_.empty()) backward(t);
    dropout_on_ = false;
  }
  return loss;
}

void Engine::backward(const Tokens& t) {
  if (options_.act != DType::f32) backend_->cast({f32(layout_->d_residual, t.count, model_.dim), act(layout_->dy, t.count, model_.dim)});
  for (int64_t l = model_.layers - 1; l >= 0; l--) {
    if (!adapters_.any_in(l) && !adapters_.any_below(l)) break;
    // What the highest of them saved is still there.
    if (checkpointed(l) && l + 1 < layout_->shared_layers) {
      backend_->cast({block_input(l, t.count), f32(layout_->residual, t.count, model_.dim)});
      block_forward(l, t, Mode::recompute);
    }
    block_backward(l, t);
  }
}

double Engine::evaluate(const Batch& batch) {
  double loss = 0;
  for (const Tokens& t : pieces(batch, options_.evaluation_tokens())) {
    layout_->place_evaluation(t.count);
    forward(t, Mode::evaluate);
    loss += head(t, 0);
  }
  return loss;
}

void Engine::update(const AdamWArgs& step) {
  AdamWArgs a = step;
  a.p = parameters_at();
  a.g = gradients_at();
  a.n = adapters_.elements();
  if (!options_.adamw_8bit) {
    a.m = f32_moments(layout_->adam_m);
    a.v = f32_moments(layout_->adam_v);
    backend_->adamw(a);
    return;
  }
  uint8_t* const bytes = moment_bytes_at();
  const auto floats = [&](int64_t offset) { return reinterpret_cast<float*>(bytes + offset); };
  for (const MomentPart& part : moments()) {
    AdamWArgs one = a;
    one.p += part.begin;
    one.g += part.begin;
    one.n = part.elements;
    if (part.is_8bit) {
      backend_->adamw_8bit({one, bytes + part.m, bytes + part.v, floats(part.m_max), floats(part.v_max)});
    } else {
      one.m = floats(part.m);
      one.v = floats(part.v);
      backend_->adamw(one);
    }
  }
}

double Engine::optimizer_step(const OptimizerOptions& o) {
  if (!(o.loss_scale > 0) || !std::isfinite(o.loss_scale)) throw Error("E_OPTIONS", "lossScale must be a positive number.");
  const int64_t n = adapters_.elements();
  float* g = gradients_at();
  double squares = 0;
  backend_->sum_squares({g, n, &squares});
  const double norm = std::sqrt(squares) / o.loss_scale;
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
    step.step = ++steps_;
    update(step);
  }
  backend_->zero({Mat(g, DType::f32, 1, n)});
  return norm;
}

std::vector<float> Engine::logits(const Batch& batch) {
  const int64_t c = model_.dim, vocab = model_.vocab;
  std::vector<float> out(batch.ids.size() * size_t(vocab));
  for (const Tokens& t : pieces(batch, options_.evaluation_tokens())) {
    layout_->place_evaluation(t.count);
    forward(t, Mode::evaluate);
    const Mat h = act(layout_->h, t.count, c);
    backend_->norm_fwd({f32(layout_->residual, t.count, c), weights_.final_norm, float(model_.final_norm.eps), h, nullptr, {}});
    backend_->linear_fwd({.x = h, .w = weights_.head, .u = {}, .y = Mat(out.data() + t.first * vocab, DType::f32, t.count, vocab)});
  }
  return out;
}

}  // namespace lowrank
