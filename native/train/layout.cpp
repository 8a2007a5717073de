#include "train/layout.h"

#include <algorithm>

namespace lowrank {

OpLimits op_limits(const ModelConfig& c, const AdapterLayout& adapters, const AdapterSpec* spec, const EngineOptions& o) {
  OpLimits limits;
  limits.tokens = o.piece_tokens();
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
  return limits;
}

Layout::Layout(Arena& arena, const ModelConfig& c, const AdapterLayout& adapters, const AdapterSpec* spec,
               const EngineOptions& o, const Backend& backend) {
  const int64_t m = o.piece_tokens(), act = dtype_bytes(o.act), f32 = 4;
  const int64_t q_dim = c.heads * c.head_dim, kv_dim = c.kv_heads * c.head_dim;

  parameters = arena.reserve("adapters", adapters.elements() * f32);
  if (o.training) {
    gradients = arena.reserve("gradients", adapters.elements() * f32);
    adam_m = arena.reserve("optimizer", adapters.elements() * f32);
    adam_v = arena.reserve("optimizer", adapters.elements() * f32);
  }

  const std::string kept = "activations", buffers = "buffers";
  residual = arena.reserve(buffers, m * c.dim * f32);
  h = arena.reserve(buffers, m * c.dim * act);
  a = arena.reserve(buffers, m * c.mlp_dim * act);
  shared_layers = o.training ? std::min(o.checkpointed_blocks, c.layers) : c.layers;
  for (int64_t l = 0; o.training && l < shared_layers; l++) block_inputs.push_back(arena.reserve(kept, m * c.dim * f32));
  blocks.resize(slot(c.layers - 1) + 1);
  for (BlockOffsets& b : blocks) {
    b.x = arena.reserve(kept, m * c.dim * act);
    b.attention_rstd = arena.reserve(kept, m * f32);
    b.q = arena.reserve(kept, m * q_dim * act);
    b.k = arena.reserve(kept, m * kv_dim * act);
    b.v = arena.reserve(kept, m * kv_dim * act);
    b.o = arena.reserve(kept, m * q_dim * act);
    b.lse = arena.reserve(kept, m * c.heads * f32);
    b.x_mid = arena.reserve(kept, m * c.dim * act);
    b.mlp_rstd = arena.reserve(kept, m * f32);
    b.g = arena.reserve(kept, m * c.mlp_dim * act);
    b.u = arena.reserve(kept, m * c.mlp_dim * act);
    for (int s = 0; s < kSites; s++) b.lora_u[s] = -1;
  }
  for (const AdapterSite& site : adapters.sites()) {
    int64_t& offset = blocks[slot(site.layer)].lora_u[int(site.site)];
    if (offset < 0) offset = arena.reserve(kept, m * adapters.rank() * act);
  }

  head_x = arena.reserve(buffers, m * c.dim * f32);
  head_h = arena.reserve(buffers, m * c.dim * act);
  head_saved = arena.reserve(buffers, m * c.dim * act);
  head_rstd = arena.reserve(buffers, m * f32);
  if (o.training) {
    head_dh = arena.reserve(buffers, m * c.dim * f32);
    d_residual = arena.reserve(buffers, m * c.dim * f32);
    dy = arena.reserve(buffers, m * c.dim * act);
    dh = arena.reserve(buffers, m * c.dim * f32);
    da = arena.reserve(buffers, m * c.mlp_dim * act);
    d_o = arena.reserve(buffers, m * q_dim * act);
    dq = arena.reserve(buffers, m * q_dim * act);
    dk = arena.reserve(buffers, m * kv_dim * act);
    dv = arena.reserve(buffers, m * kv_dim * act);
  }

  cache_k = arena.reserve("key/value cache", c.layers * o.max_sequence * kv_dim * act);
  cache_v = arena.reserve("key/value cache", c.layers * o.max_sequence * kv_dim * act);

  workspace = arena.reserve("workspace", backend.workspace_bytes(op_limits(c, adapters, spec, o)));
}

}  // namespace lowrank
