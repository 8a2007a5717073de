#include "train/layout.h"

#include <algorithm>
#include <span>

namespace lowrank {

EngineOptions options_for(const ModelSource& source, EngineOptions o) {
  for (const TensorEntry& t : source.tensors) o.rounds_activations = o.rounds_activations || t.outlier_threshold > 0;
  return o;
}

OpLimits op_limits(const ModelSpec& model, const AdapterLayout& adapters, const AdapterSpec* spec, const EngineOptions& o) {
  OpLimits limits;
  limits.tokens = std::max(o.piece_tokens(), o.evaluation_tokens());
  limits.kv_tokens = std::max(limits.tokens, o.max_sequence);
  limits.max_sequence = o.max_sequence;
  for (const LinearSpec* l : model.block.linears()) limits.features = std::max({limits.features, l->out, l->in});
  limits.model_dim = model.dim;
  limits.vocab = model.vocab;
  limits.rank = adapters.rank();
  limits.heads = model.block.attention.heads;
  limits.kv_heads = model.block.attention.kv_heads;
  limits.head_dim = model.block.attention.head_dim;
  limits.act = o.act;
  limits.training = o.training;
  limits.dropout = spec && spec->dropout > 0;
  limits.rounds_activations = o.rounds_activations;
  return limits;
}

Layout::Layout(Arena& arena, const ModelSpec& model, const AdapterLayout& adapters,
               const EngineOptions& o, int64_t workspace_bytes)
    : model_(model), options_(o), rank_(adapters.rank()) {
  const int64_t kv_dim = model.block.attention.kv_dim(), act = dtype_bytes(o.act), f32 = 4;
  parameters = arena.reserve("adapters", adapters.elements() * f32);
  if (o.training) {
    gradients = arena.reserve("gradients", adapters.elements() * f32);
    if (o.adamw_8bit) {
      adam_8bit = MomentLayout(adapters);
      moments = arena.reserve("optimizer", adam_8bit.bytes());
    } else {
      adam_m = arena.reserve("optimizer", adapters.elements() * f32);
      adam_v = arena.reserve("optimizer", adapters.elements() * f32);
    }
  }
  cache_k = arena.reserve("key/value cache", model.layers * o.cache_tokens * kv_dim * act);
  cache_v = arena.reserve("key/value cache", model.layers * o.cache_tokens * kv_dim * act);
  workspace = arena.reserve("workspace", workspace_bytes);

  shared_layers = o.training ? std::min(o.checkpointed_blocks, model.layers) : model.layers;
  blocks.resize(slot(model.layers - 1) + 1);
  block_inputs.resize(o.training ? size_t(shared_layers) : 0);
  for (BlockOffsets& b : blocks) std::fill(std::begin(b.lora_u), std::end(b.lora_u), -1);
  for (const AdapterSite& site : adapters.sites()) {
    int64_t& offset = blocks[slot(site.layer)].lora_u[site.linear];
    if (offset == -1) lora_slots_.emplace_back(slot(site.layer), site.linear);
    offset = 0;
  }
  tokens_begin_ = arena.total_bytes();
  place(o.piece_tokens(), [&](const char* item, int64_t bytes) { return arena.reserve(item, bytes); });
  place_evaluation(o.evaluation_tokens());
  arena.reserve("buffers", std::max<int64_t>(0, end_ - arena.total_bytes()));
}

void Layout::place(int64_t tokens, bool keep) {
  keep_ = keep;
  end_ = tokens_begin_;
  place(tokens, [&](const char*, int64_t bytes) {
    const int64_t at = end_;
    end_ += Arena::aligned(bytes);
    return at;
  });
}

void Layout::place(int64_t m, const Take& take) {
  const AttentionSpec& attention = model_.block.attention;
  const int64_t dim = model_.dim, mlp_dim = model_.block.mlp.up.out, q_dim = attention.q_dim(), act = dtype_bytes(options_.act), f32 = 4;
  const char *kept = "activations", *buffers = "buffers";
  const int64_t shared_u = keep_ ? 0 : take(kept, m * rank_ * act);  // used up within its own linear
  residual = take(buffers, m * dim * f32);
  h = take(buffers, m * dim * act);
  a = take(buffers, m * mlp_dim * act);
  if (keep_) {
    for (int64_t& input : block_inputs) input = take(kept, m * dim * f32);
  }
  for (BlockOffsets& b : std::span(blocks).first(keep_ ? blocks.size() : 1)) {
    b.x = take(kept, m * dim * act);
    b.attention_rstd = take(kept, m * f32);
    for (size_t i = 0; i < attention.inputs.size(); i++) b.inputs[i] = take(kept, m * attention.inputs[i].out * act);
    b.o = take(kept, m * q_dim * act);
    b.lse = take(kept, m * attention.heads * f32);
    b.x_mid = take(kept, m * dim * act);
    b.mlp_rstd = take(kept, m * f32);
    b.g = take(kept, m * mlp_dim * act);
    b.u = take(kept, m * mlp_dim * act);
  }
  for (const auto& [block, linear] : lora_slots_) {
    if (keep_) blocks[block].lora_u[linear] = take(kept, m * rank_ * act);
    else blocks[0].lora_u[linear] = shared_u;
  }

  head_x = take(buffers, m * dim * f32);
  head_h = take(buffers, m * dim * act);
  head_saved = take(buffers, m * dim * act);
  head_rstd = take(buffers, m * f32);
  if (!options_.training || !keep_) return;
  head_dh = take(buffers, m * dim * f32);
  d_residual = take(buffers, m * dim * f32);
  dy = take(buffers, m * dim * act);
  dh = take(buffers, m * dim * f32);
  da = take(buffers, m * mlp_dim * act);
  d_o = take(buffers, m * q_dim * act);
  for (size_t i = 0; i < attention.inputs.size(); i++) d_inputs[i] = take(buffers, m * attention.inputs[i].out * act);
}

}  // namespace lowrank
