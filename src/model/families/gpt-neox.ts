// GPT-NeoX and Pythia: q, k and v of each head after one another in one linear, part of a head rotates, attention and MLP side by side
// (Black et al., 2022).
import type { BlockSpec } from "../../native/index.js";
import type { Family } from "./family.js";
import { LLAMA_SIZES } from "./gguf.js";
import { type AttentionConfig, attentionOf } from "./llama.js";
import {
  grouped,
  type LayerNormConfig,
  layerNorm,
  readDropouts,
  readEqualHeads,
  scoreHead,
  withOwnNames,
} from "./parts.js";
import { readRotaryNumbers } from "./phi.js";

interface NeoxConfig extends LayerNormConfig, AttentionConfig {
  parallel: boolean;
  attentionBias: boolean;
}

function block(config: NeoxConfig): BlockSpec {
  const { hiddenSize: dim, headDim, intermediateSize: mlp, eps, activation, parallel, attentionBias: bias } = config;
  return {
    attention: {
      ...attentionOf(config),
      norm: layerNorm("input_layernorm", eps),
      inputs: [{ module: "attention.query_key_value", out: 3 * dim, in: dim, bias }],
      ...grouped(1, headDim),
      out: { module: "attention.dense", out: dim, in: dim, bias },
    },
    mlp: {
      norm: layerNorm("post_attention_layernorm", eps),
      inputs: [{ module: "mlp.dense_h_to_4h", out: mlp, in: dim, bias: true }],
      down: { module: "mlp.dense_4h_to_h", out: dim, in: mlp, bias: true },
      activation,
    },
    parallel,
  };
}

export const gptNeox: Family = {
  modelType: "gpt_neox",
  names: {
    base: "gpt_neox.",
    embedding: "gpt_neox.embed_in.weight",
    finalNorm: "gpt_neox.final_layer_norm.weight",
    // transformers 5 has this name, and files the other.
    head: "lm_head.weight",
    inFiles: { "embed_out.": "lm_head." },
    layers: "gpt_neox.layers.",
  },
  // The defaults of transformers' GPTNeoXConfig, and the names that its keys had before.
  readConfig(given, warn): Omit<NeoxConfig, "modelType"> {
    const keys = withOwnNames(given, {
      partial_rotary_factor: given.given("partial_rotary_factor") ? "partial_rotary_factor" : "rotary_pct",
      rope_theta: given.given("rope_theta") ? "rope_theta" : "rotary_emb_base",
    });
    const hidden = "hidden_dropout";
    const defaults = { mlp: 24576, activation: "gelu", partialRotary: 0.25 };
    return {
      ...readRotaryNumbers(keys, warn, readEqualHeads(keys), defaults),
      parallel: keys.flag("use_parallel_residual", true),
      dropouts: readDropouts(keys, {
        embedding: hidden,
        attention: "attention_dropout",
        attentionOutput: hidden,
        mlpOutput: hidden,
      }),
      attentionBias: keys.flag("attention_bias", true),
    };
  },
  outside: ({ eps }: NeoxConfig) => ({ finalNorm: layerNorm("gpt_neox.final_layer_norm", eps) }),
  block,
  classifier: scoreHead,
  targets: ["query_key_value"],
  gguf: {
    architecture: "gptneox",
    numbers: {
      ...LLAMA_SIZES,
      layer_norm_eps: "attention.layer_norm_epsilon",
      rope_theta: "rope.freq_base",
      partial_rotary_factor: "rope.dimension_count",
      use_parallel_residual: "use_parallel_residual",
    },
    others: ({ has }) => ({ attention_bias: has("blk.0.attn_qkv.bias") }),
  },
};
