// How llama.cpp stores families: the parts that families share.
import type { ModelConfig } from "../../native/index.js";

/** A number of the metadata, without the architecture: the keys that src/model/gguf/numbers.ts knows. */
export type GgufNumber =
  | "context_length"
  | "embedding_length"
  | "block_count"
  | "feed_forward_length"
  | "attention.head_count"
  | "attention.head_count_kv"
  | "attention.key_length"
  | "attention.layer_norm_rms_epsilon"
  | "attention.layer_norm_epsilon"
  | "attention.sliding_window"
  | "attention.scale"
  | "rope.freq_base"
  | "rope.freq_base_swa"
  | "rope.dimension_count"
  | "attn_logit_softcapping"
  | "final_logit_softcapping"
  | "embedding_scale"
  | "residual_scale"
  | "logit_scale"
  | "use_parallel_residual";

/** The part of a GGUF file that its header tells beside the numbers. */
export interface GgufFacts {
  /** Keys of config.json, as far as the numbers give them. */
  config: Record<string, unknown>;
  /** Whether the file has a tensor. */
  has(tensor: string): boolean;
}

/** How llama.cpp names and stores a family. */
export interface GgufNames {
  /** `general.architecture`, and the prefix of the metadata's keys. */
  architecture: string;
  /** Keys of config.json to the keys of the metadata that hold their numbers. */
  numbers: Record<string, GgufNumber>;
  /** Keys of config.json that no number holds. */
  others?(facts: GgufFacts): Record<string, unknown>;
  /** Rotary pairs of q and k lie side by side; the engine reads them in Hugging Face's order. */
  interleaved?: boolean;
  /** Weights of norms are stored with the offset that the family adds to them. */
  wholeNorms?: boolean;
  /** The metadata's logit_scale divides the logits. */
  dividesLogits?: boolean;
  /** Names of the norms before attention and MLP, where they are not attn_norm and ffn_norm. */
  norms?(config: ModelConfig): { attention?: string; mlp?: string };
}

/** The sizes of a configuration with LLaMA's keys. */
export const LLAMA_SIZES: Record<string, GgufNumber> = {
  max_position_embeddings: "context_length",
  hidden_size: "embedding_length",
  num_hidden_layers: "block_count",
  intermediate_size: "feed_forward_length",
  num_attention_heads: "attention.head_count",
};

/** The numbers of a configuration with all of LLaMA's keys. */
export const LLAMA_NUMBERS: Record<string, GgufNumber> = {
  ...LLAMA_SIZES,
  num_key_value_heads: "attention.head_count_kv",
  head_dim: "attention.key_length",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
  rope_theta: "rope.freq_base",
};

/** The numbers of LLaMA's keys with LayerNorm in place of RMSNorm. */
export const LAYER_NORM_NUMBERS: Record<string, GgufNumber> = {
  ...LLAMA_SIZES,
  num_key_value_heads: "attention.head_count_kv",
  layer_norm_eps: "attention.layer_norm_epsilon",
  rope_theta: "rope.freq_base",
};
