// LLaMA: pre-norm RMSNorm, rotary positions, grouped-query attention, SwiGLU (Touvron et al., 2023).
import type { Activation, AttentionSpec, BlockSpec, ModelConfig, NormSpec } from "../../native/index.js";
import type { AttentionKinds } from "../attention-kinds.js";
import { LARGEST, readHeads } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import { type PartialRope, type Rope, readRope } from "../rope.js";
import type { Warn } from "../warn.js";
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { readActivation, readDropouts, scoreHead } from "./parts.js";

/** The numbers of an attention, beside its linears. */
export interface AttentionConfig
  extends Pick<ModelConfig, "heads" | "kvHeads" | "headDim">,
    Rope,
    Partial<AttentionKinds> {
  /** Columns of a head that rotate; default all. */
  rotaryDim?: number;
  /** Default 1 / sqrt(headDim). */
  attentionScale?: number;
  /** 0, the default: scores are not capped. */
  attentionCap?: number;
  /** Factor of the parts' outputs; default 1. */
  residualScale?: number;
}

export interface LlamaConfig extends ModelConfig, AttentionConfig {
  rmsNormEps: number;
  attentionBias: boolean;
  mlpBias: boolean;
  /** 0, the default: logits are not capped. */
  logitCap?: number;
  /** Factors of the embedding and of the logits; default 1. */
  embeddingScale?: number;
  logitScale?: number;
  /** Added to the weights of norms; default 0. */
  normOffset?: number;
  activation: Activation;
}

/** The norm with the tensor of this name. */
export function rmsNorm(config: LlamaConfig, weight: string): NormSpec {
  return { weight, eps: config.rmsNormEps, offset: config.normOffset ?? 0 };
}

/** The part of an attention that does not depend on its linears. */
export function attentionOf(config: AttentionConfig): Omit<AttentionSpec, "norm" | "inputs" | "q" | "k" | "v" | "out"> {
  const { heads, kvHeads, headDim, rotaryDim, attentionScale: scale, layerKinds, residualScale } = config;
  return {
    heads,
    kvHeads,
    headDim,
    kinds: config.attentionKinds ?? [{ window: 0, rope: { theta: config.ropeTheta, scaling: config.ropeScaling } }],
    ...(layerKinds && { layerKinds }),
    ...(rotaryDim !== undefined && { rotaryDim }),
    ...(scale !== undefined && { scale }),
    softCap: config.attentionCap ?? 0,
    residual: { scale: residualScale ?? 1 },
  };
}

/** A block of LLaMA's linears. */
export function llamaBlock(config: LlamaConfig, bias: { qkv: boolean; out: boolean; mlp: boolean }): BlockSpec {
  const { hiddenSize: dim, intermediateSize: mlp, heads, kvHeads, headDim } = config;
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  const head = { offset: 0, groupStride: headDim, headStride: headDim };
  return {
    attention: {
      ...attentionOf(config),
      norm: rmsNorm(config, "input_layernorm.weight"),
      inputs: [
        { module: "self_attn.q_proj", out: q, in: dim, bias: bias.qkv },
        { module: "self_attn.k_proj", out: kv, in: dim, bias: bias.qkv },
        { module: "self_attn.v_proj", out: kv, in: dim, bias: bias.qkv },
      ],
      q: { ...head, linear: 0, groupStride: q / kvHeads },
      k: { ...head, linear: 1 },
      v: { ...head, linear: 2 },
      out: { module: "self_attn.o_proj", out: dim, in: q, bias: bias.out },
    },
    mlp: {
      norm: rmsNorm(config, "post_attention_layernorm.weight"),
      inputs: [
        { module: "mlp.gate_proj", out: mlp, in: dim, bias: bias.mlp },
        { module: "mlp.up_proj", out: mlp, in: dim, bias: bias.mlp },
      ],
      down: { module: "mlp.down_proj", out: dim, in: mlp, bias: bias.mlp },
      activation: config.activation,
      residual: { scale: config.residualScale ?? 1 },
    },
  };
}

/** The same with norms of q and k, in tensors self_attn.q_norm.weight and self_attn.k_norm.weight. */
export function withHeadNorms(block: BlockSpec, config: LlamaConfig, whole = false): BlockSpec {
  const [qNorm, kNorm] = ["q", "k"].map((of) => rmsNorm(config, `self_attn.${of}_norm.weight`)) as [NormSpec, NormSpec];
  return { ...block, attention: { ...block.attention, qNorm, kNorm, normWhole: whole } };
}

/** The defaults of a family's class in transformers, where they are not LLaMA's. */
export interface LlamaDefaults {
  /** max_position_embeddings */
  positions: number;
  headDim?: number;
  kvHeads?: number;
  eps?: number;
  tied?: boolean;
  theta?: number;
  /** partial_rotary_factor; undefined: the family has none. */
  partialRotary?: number;
  /** The key of the activation and its value. */
  activation?: [key: string, value: string];
}

/** The numbers that every config.json of LLaMA's block has, under the same names. */
export function readLlamaNumbers(keys: ConfigKeys, warn: Warn, defaults: LlamaDefaults) {
  const { positions, eps = 1e-6, tied = false, theta, partialRotary } = defaults;
  const [activationKey, activation] = defaults.activation ?? ["hidden_act", "silu"];
  const maxPositions = keys.count("max_position_embeddings", 2 ** 31, positions);
  const heads = readHeads(keys, defaults);
  return {
    vocabSize: keys.count("vocab_size", LARGEST),
    intermediateSize: keys.count("intermediate_size", LARGEST),
    layers: keys.count("num_hidden_layers", 100_000),
    ...heads,
    rmsNormEps: keys.number("rms_norm_eps", { above: 0, atMost: 1 }, eps),
    maxPositions,
    ...rotaryPart(keys, heads.headDim, readRope(keys, { maxPositions, theta, partialRotary }, warn)),
    tieWordEmbeddings: keys.flag("tie_word_embeddings", tied),
    activation: readActivation(keys, activationKey, activation),
    dropouts: readDropouts(keys, { attention: "attention_dropout" }),
  };
}

/** A rope with the number of columns that rotate, where these are not all. @throws LowrankError E_CONFIG_VALUE */
export function rotaryPart(keys: ConfigKeys, headDim: number, { partial, ...rope }: PartialRope) {
  return { ...rope, ...(partial !== 1 && { rotaryDim: rotaryDim(keys, headDim, partial) }) };
}

function rotaryDim(keys: ConfigKeys, headDim: number, partial: number): number {
  const dim = Math.trunc(headDim * partial);
  if (dim >= 2 && dim % 2 === 0) return dim;
  const found = `${dim} of a head's ${headDim} columns would rotate, expected an even number`;
  throw keys.error("partial_rotary_factor", found);
}

const FINAL_NORM = "model.norm.weight";

export const llama: Family = {
  modelType: "llama",
  names: {
    base: "model.",
    embedding: "model.embed_tokens.weight",
    finalNorm: FINAL_NORM,
    head: "lm_head.weight",
    layers: "model.layers.",
  },
  // The defaults of transformers' LlamaConfig.
  readConfig(keys, warn) {
    keys.only("pretraining_tp", [1], 1);
    return {
      ...readLlamaNumbers(keys, warn, { positions: 2048 }),
      attentionBias: keys.flag("attention_bias", false),
      mlpBias: keys.flag("mlp_bias", false),
    };
  },
  outside: (config: LlamaConfig) => ({
    finalNorm: { ...rmsNorm(config, FINAL_NORM), factor: config.logitScale ?? 1 },
    embeddingScale: config.embeddingScale ?? 1,
    logitCap: config.logitCap ?? 0,
  }),
  block: (config: LlamaConfig) => {
    const { attentionBias, mlpBias } = config;
    return llamaBlock(config, { qkv: attentionBias, out: attentionBias, mlp: mlpBias });
  },
  classifier: scoreHead,
  targets: ["q_proj", "v_proj", "k_proj", "o_proj"],
  tokenizer: { begins: true },
  gguf: { architecture: "llama", numbers: LLAMA_NUMBERS, interleaved: true },
};
