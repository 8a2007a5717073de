// LLaMA: pre-norm RMSNorm, rotary positions, grouped-query attention, SwiGLU (Touvron et al., 2023).
import type { BlockSpec, ClassifierSpec, ModelConfig } from "../../native/index.js";
import { LARGEST, readHeads } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import { readRope } from "../rope.js";
import type { Warn } from "../warn.js";
import type { Family } from "./family.js";

/** A block of LLaMA's linears. */
export function llamaBlock(config: ModelConfig, bias: { qkv: boolean; out: boolean; mlp: boolean }): BlockSpec {
  const { hiddenSize: dim, intermediateSize: mlp, heads, kvHeads, headDim, rmsNormEps: eps } = config;
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  const head = { offset: 0, groupStride: headDim, headStride: headDim };
  return {
    attention: {
      norm: { weight: "input_layernorm.weight", eps },
      inputs: [
        { module: "self_attn.q_proj", out: q, in: dim, bias: bias.qkv },
        { module: "self_attn.k_proj", out: kv, in: dim, bias: bias.qkv },
        { module: "self_attn.v_proj", out: kv, in: dim, bias: bias.qkv },
      ],
      q: { ...head, linear: 0, groupStride: q / kvHeads },
      k: { ...head, linear: 1 },
      v: { ...head, linear: 2 },
      out: { module: "self_attn.o_proj", out: dim, in: q, bias: bias.out },
      heads,
      kvHeads,
      headDim,
      rope: { theta: config.ropeTheta, scaling: config.ropeScaling },
    },
    mlp: {
      norm: { weight: "post_attention_layernorm.weight", eps },
      gate: { module: "mlp.gate_proj", out: mlp, in: dim, bias: bias.mlp },
      up: { module: "mlp.up_proj", out: mlp, in: dim, bias: bias.mlp },
      down: { module: "mlp.down_proj", out: dim, in: mlp, bias: bias.mlp },
    },
  };
}

/** The numbers that every config.json of LLaMA's block has, under the same names. @param positions default of max_position_embeddings */
export function readLlamaNumbers(keys: ConfigKeys, warn: Warn, positions: number) {
  keys.only("hidden_act", ["silu", "swish"], "silu");
  const maxPositions = keys.count("max_position_embeddings", 2 ** 31, positions);
  return {
    vocabSize: keys.count("vocab_size", LARGEST),
    intermediateSize: keys.count("intermediate_size", LARGEST),
    layers: keys.count("num_hidden_layers", 100_000),
    ...readHeads(keys),
    rmsNormEps: keys.number("rms_norm_eps", { above: 0, atMost: 1 }, 1e-6),
    maxPositions,
    ...readRope(keys, maxPositions, warn),
    tieWordEmbeddings: keys.flag("tie_word_embeddings", false),
  };
}

/** The state of a text's last token through one linear, `score`: of decoders. */
export function scoreHead({ hiddenSize }: ModelConfig, labels: number): Pick<ClassifierSpec, "lastToken" | "layers"> {
  const linear = { module: "score", out: labels, in: hiddenSize };
  return { lastToken: true, layers: [{ linear, function: "none", dropout: 0, trains: true }] };
}

export const llama: Family = {
  modelType: "llama",
  names: {
    base: "model.",
    embedding: "model.embed_tokens.weight",
    finalNorm: "model.norm.weight",
    head: "lm_head.weight",
    layers: "model.layers.",
  },
  // The defaults of transformers' LlamaConfig.
  readConfig(keys, warn) {
    keys.only("pretraining_tp", [1], 1);
    return {
      ...readLlamaNumbers(keys, warn, 2048),
      attentionBias: keys.flag("attention_bias", false),
      mlpBias: keys.flag("mlp_bias", false),
    };
  },
  block: (config) => {
    const { attentionBias, mlpBias } = config;
    return llamaBlock(config, { qkv: attentionBias, out: attentionBias, mlp: mlpBias });
  },
  classifier: scoreHead,
  targets: ["q_proj", "v_proj", "k_proj", "o_proj"],
  gguf: {
    architecture: "llama",
    modules: {
      attn_norm: "input_layernorm",
      ffn_norm: "post_attention_layernorm",
      attn_q: "self_attn.q_proj",
      attn_k: "self_attn.k_proj",
      attn_v: "self_attn.v_proj",
      attn_output: "self_attn.o_proj",
      ffn_gate: "mlp.gate_proj",
      ffn_up: "mlp.up_proj",
      ffn_down: "mlp.down_proj",
    },
    interleaved: ["attn_q", "attn_k"],
    attentionBias: false,
  },
};
