// The description of a made-up model for tests.
#pragma once
#include <cmath>

#include "head_layouts.h"

namespace lowrank::test {

struct TinySizes {
  int64_t vocab = 0, dim = 0, mlp = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
};

// LLaMA's block, without biases; the head is the embedding.
inline ModelSpec tiny_spec(const TinySizes& n, HeadLayout layout = HeadLayout::separate) {
  const int64_t q = n.heads * n.head_dim, kv = n.kv_heads * n.head_dim;
  ModelSpec s;
  s.vocab = n.vocab;
  s.dim = n.dim;
  s.embedding = "embed.weight";
  s.head = "head.weight";
  s.tied_head = true;
  s.final_norm.weight = "norm.weight";
  s.layer_prefix = "layers.";
  s.layers = n.layers;
  AttentionSpec& a = s.block.attention;
  a.norm.weight = "attention_norm.weight";
  a.inputs = {{"q_proj", q, n.dim}, {"k_proj", kv, n.dim}, {"v_proj", kv, n.dim}};
  if (layout != HeadLayout::separate) a.inputs = {{"qkv_proj", q + 2 * kv, n.dim}};
  const HeadViews views = head_views(layout, n.heads, n.kv_heads, n.head_dim);
  a.q = views.q;
  a.k = views.k;
  a.v = views.v;
  a.out = {"o_proj", n.dim, q};
  a.heads = n.heads;
  a.kv_heads = n.kv_heads;
  a.head_dim = a.rotary_dim = n.head_dim;
  a.scale = double(1.f / std::sqrt(float(n.head_dim)));
  s.block.mlp.norm.weight = "mlp_norm.weight";
  s.block.mlp.inputs = {{"mlp.gate_proj", n.mlp, n.dim}, {"mlp.up_proj", n.mlp, n.dim}};
  s.block.mlp.down = {"mlp.down_proj", n.dim, n.mlp};
  return s;
}

}  // namespace lowrank::test
