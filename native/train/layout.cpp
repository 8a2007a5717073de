#include "train/layout.h"

#include <algorithm>
#include <span>

namespace lowrank {

EngineOptions options_for(const ModelSource& source, EngineOptions o) {
  for (const TensorEntry& t : source.tensors) o.rounds_activations = o.rounds_activations || t.outlier_threshold > 0;
  return o;
}

OpLimits op_limits(const ModelConfig& c, const AdapterLayout& adapters, const AdapterSpec* spec, const EngineOptions& o) {
  OpLimits limits;
  limits.tokens = std::max(o.piece_tokens(), o.evaluation_tokens());
  limits.kv_tokens = std::max(limits.tokens, o.max_sequence);
  limits.max_sequence = o.max_sequence;
  limits.features = std::max({c.dim, c.mlp_dim, c.heads * c.head_dim});
  limits.model_dim = c.dim;
  limits.vocab = c.vocab;
  limits.rank = adapters.rank();
  limits.heads = c.heads;
  limits.kv_heads = c.kv_heads;
  limits.head_dim = c.head_dim;
  limits.act = o.act;
  limits.training = o.training;
  limits.dropout = spec && spec->dropout > 0;
  limits.rounds_activations = o.rounds_activations;
  return limits;
}

Layout::Layout(Arena& arena, const ModelConfig& c, const AdapterLayout& adapters,
               const EngineOptions& o, int64_t workspace_bytes)
    : config_(c), options_(o), rank_(adapters.rank()) {
  const int64_t kv_dim = c.kv_heads * c.head_dim, act = dtype_bytes(o.act), f32 = 4;
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
  cache_k = arena.reserve("key/value cache", c.layers * o.cache_tokens * kv_dim * act);
  cache_v = arena.reserve("key/value cache", c.layers * o.cache_tokens * kv_dim * act);
  workspace = arena.reserve("workspace", workspace_bytes);

  shared_layers = o.training ? std::min(o.checkpointed_blocks, c.layers) : c.layers;
  blocks.resize(slot(c.layers - 1) + 1);
  block_inputs.resize(o.training ? size_t(shared_layers) : 0);
  for (BlockOffsets& b : blocks) std::fill(std::begin(b.lora_u), std::end(b.lora_u), -1);
  for (const AdapterSite& site : adapters.sites()) {
    int64_t& offset = blocks[slot(site.layer)].lora_u[int(site.site)];
    if (offset == -1) lora_slots_.emplace_back(slot(site.layer), int(site.site));
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
  const ModelConfig& c = config_;
  const int64_t q_dim = c.heads * c.head_dim, kv_dim = c.kv_heads * c.head_dim, act = dtype_bytes(options_.act), f32 = 4;
  const char *kept = "activations", *buffers = "buffers";
  const int64_t shared_u = keep_ ? 0 : take(kept, m * rank_ * act);  // used up within its own linear
  residual = take(buffers, m * c.dim * f32);
  h = take(buffers, m * c.dim * act);
  a = take(buffers, m * c.mlp_dim * act);
  if (keep_) {
    for (int64_t& input : block_inputs) input = take(kept, m * c.dim * f32);
  }
  for (BlockOffsets& b : std::span(blocks).first(keep_ ? blocks.size() : 1)) {
    b.x = take(kept, m * c.dim * act);
    b.attention_rstd = take(kept, m * f32);
    b.q = take(kept, m * q_dim * act);
    b.k = take(kept, m * kv_dim * act);
    b.v = take(kept, m * kv_dim * act);
    b.o = take(kept, m * q_dim * act);
    b.lse = take(kept, m * c.heads * f32);
    b.x_mid = take(kept, m * c.dim * act);
    b.mlp_rstd = take(kept, m * f32);
    b.g = take(kept, m * c.mlp_dim * act);
    b.u = take(kept, m * c.mlp_dim * act);
  }
  for (const auto& [block, site] : lora_slots_) {
    if (keep_) blocks[block].lora_u[site] = take(kept, m * rank_ * act);
    else blocks[0].lora_u[site] = shared_u;
  }

  head_x = take(buffers, m * c.dim * f32);
  head_h = take(buffers, m * c.dim * act);
  head_saved = take(buffers, m * c.dim * act);
  head_rstd = take(buffers, m * f32);
  if (!options_.training || !keep_) return;
  head_dh = take(buffers, m * c.dim * f32);
  d_residual = take(buffers, m * c.dim * f32);
  dy = take(buffers, m * c.dim * act);
  dh = take(buffers, m * c.dim * f32);
  da = take(buffers, m * c.mlp_dim * act);
  d_o = take(buffers, m * q_dim * act);
  dq = take(buffers, m * q_dim * act);
  dk = take(buffers, m * kv_dim * act);
  dv = take(buffers, m * kv_dim * act);
}

}  // namespace lowrank
