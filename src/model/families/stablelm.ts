// StableLM: LLaMA's linears with LayerNorm; part of a head rotates (Bellagente et al., 2024).
import type { BlockSpec, NormSpec } from "../../native/index.js";
import type { Family } from "./family.js";
import { LAYER_NORM_NUMBERS } from "./gguf.js";
import { type LlamaConfig, llama, llamaBlock, readLlamaNumbers } from "./llama.js";
import { layerNorm, readDropouts, scoreHead } from "./parts.js";

interface StablelmConfig extends LlamaConfig {
  parallel: boolean;
  headNorms: boolean;
}

function block(config: StablelmConfig): BlockSpec {
  const { rmsNormEps: eps, parallel } = config;
  const { attention, mlp } = llamaBlock(config, { qkv: config.attentionBias, out: false, mlp: false });
  // Each head has a norm of its own, without a bias.
  const headNorm = (of: string): NormSpec => {
    return { weight: `self_attn.${of}_layernorm.norms.*.weight`, centred: true, eps };
  };
  return {
    attention: {
      ...attention,
      norm: layerNorm("input_layernorm", eps),
      ...(config.headNorms && { qNorm: headNorm("q"), kNorm: headNorm("k"), normEach: true }),
    },
    mlp: { ...mlp, norm: parallel ? null : layerNorm("post_attention_layernorm", eps) },
    parallel,
  };
}

export const stablelm: Family = {
  modelType: "stablelm",
  names: llama.names,
  // The defaults of transformers' StableLmConfig.
  readConfig(given, warn) {
    const eps = given.number("layer_norm_eps", { above: 0, atMost: 1 }, 1e-5);
    const keys = given.with({ rms_norm_eps: eps, head_dim: undefined });
    return {
      ...readLlamaNumbers(keys, warn, { positions: 4096, kvHeads: 32, partialRotary: 0.25 }),
      // Attention's output has none.
      dropouts: readDropouts(keys, { attention: "attention_dropout", mlpOutput: "hidden_dropout" }),
      attentionBias: keys.flag("use_qkv_bias", false),
      mlpBias: false,
      parallel: keys.flag("use_parallel_residual", false),
      headNorms: keys.flag("qk_layernorm", false),
    };
  },
  outside: ({ rmsNormEps: eps }: StablelmConfig) => ({ finalNorm: layerNorm("model.norm", eps) }),
  block,
  classifier: scoreHead,
  targets: ["q_proj", "v_proj"],
  tokenizer: { asStored: true },
  gguf: {
    architecture: "stablelm",
    numbers: {
      ...LAYER_NORM_NUMBERS,
      partial_rotary_factor: "rope.dimension_count",
      use_parallel_residual: "use_parallel_residual",
    },
    others: ({ has }) => ({ use_qkv_bias: has("blk.0.attn_q.bias") }),
  },
};
