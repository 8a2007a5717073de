// LLaMA family: pre-norm RMSNorm, rotary positions, grouped-query attention, SwiGLU (Touvron et al., 2023).
#include "model/architecture.h"

namespace lowrank {

namespace {
bool has_bias(const ModelConfig& c, Site site) {
  const bool mlp = site == Site::gate || site == Site::up || site == Site::down;
  return mlp ? c.mlp_bias : c.attention_bias;
}
}  // namespace

const Architecture kLlama = {
    .model_type = "llama",
    .embedding = "model.embed_tokens.weight",
    .final_norm = "model.norm.weight",
    .head = "lm_head.weight",
    .block_prefix = "model.layers.",
    .attention_norm = "input_layernorm.weight",
    .mlp_norm = "post_attention_layernorm.weight",
    .linears = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                "mlp.up_proj", "mlp.down_proj"},
    .has_bias = has_bias,
};

}  // namespace lowrank
