// Falcon: q, k and v in one linear, attention and MLP side by side (Almazrouei et al., 2023).
import type { BlockSpec, HeadView } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import { readRope } from "../rope.js";
import type { Family } from "./family.js";
import { LLAMA_SIZES } from "./gguf.js";
import { type AttentionConfig, attentionOf } from "./llama.js";
import {
  alibiSlopes,
  gptNames,
  grouped,
  type LayerNormConfig,
  layerNorm,
  readActivation,
  readDropouts,
  readEqualHeads,
  scoreHead,
  withOwnNames,
} from "./parts.js";

interface FalconConfig extends LayerNormConfig, AttentionConfig {
  /** Biases of keys in the place of rotary positions. */
  alibi: boolean;
  bias: boolean;
  parallel: boolean;
  /** Norms of the block, attention's first; of two parallel parts that share one, the one. */
  norms: [string, string?];
}

function block(config: FalconConfig): BlockSpec {
  const { hiddenSize: dim, heads, kvHeads, headDim, intermediateSize: mlp, eps, activation, bias, parallel } = config;
  const [first, second] = config.norms;
  const linear = (module: string, out: number, inputs: number) => ({ module, out, in: inputs, bias });
  const views: Record<"q" | "k" | "v", HeadView> = grouped(heads / kvHeads, headDim);
  return {
    attention: {
      ...attentionOf(config),
      ...(config.alibi && {
        kinds: [{ window: 0, rope: null }],
        keyBias: { slopes: alibiSlopes(heads), scale: 1 / Math.sqrt(headDim), rounded: true },
      }),
      norm: layerNorm(first, eps),
      inputs: [linear("self_attention.query_key_value", (heads + 2 * kvHeads) * headDim, dim)],
      ...views,
      out: linear("self_attention.dense", dim, dim),
    },
    mlp: {
      norm: second === undefined ? null : layerNorm(second, eps),
      inputs: [linear("mlp.dense_h_to_4h", mlp, dim)],
      down: linear("mlp.dense_4h_to_h", dim, mlp),
      activation,
    },
    parallel,
    sharesMask: parallel,
  };
}

/** Norms and groups of the block, which the "new decoder architecture" (40B) has otherwise than the first (7B, RW). */
function readLayout(keys: ConfigKeys, heads: number): Pick<FalconConfig, "kvHeads" | "norms" | "parallel"> {
  if (!keys.flag("new_decoder_architecture", false)) {
    keys.only("num_ln_in_parallel_attn", [1], 1);
    const parallel = keys.flag("parallel_attn", true);
    const norms: [string, string?] = parallel ? ["input_layernorm"] : ["input_layernorm", "post_attention_layernorm"];
    return { kvHeads: keys.flag("multi_query", true) ? 1 : heads, norms, parallel };
  }
  keys.only("parallel_attn", [true], true);
  const kvHeads = keys.count("num_kv_heads", heads, heads);
  if (heads % kvHeads !== 0) {
    throw keys.error("num_kv_heads", `expected a divisor of num_attention_heads (${heads}), found ${kvHeads}`);
  }
  const two = keys.only("num_ln_in_parallel_attn", [1, 2], 2) === 2;
  return { kvHeads, norms: two ? ["ln_attn", "ln_mlp"] : ["input_layernorm"], parallel: true };
}

export const falcon: Family = {
  modelType: "falcon",
  names: gptNames("word_embeddings"),
  // The defaults of transformers' FalconConfig.
  readConfig(given, warn) {
    const keys = withOwnNames(given, { hidden_size: "n_embed" });
    const heads = readEqualHeads(keys);
    const alibi = keys.flag("alibi", false);
    const layout = readLayout(keys, heads.heads);
    const maxPositions = keys.count("max_position_embeddings", 2 ** 31, 2048);
    const config: Omit<FalconConfig, "modelType"> = {
      vocabSize: keys.count("vocab_size", LARGEST),
      ...heads,
      ...layout,
      intermediateSize: keys.count("ffn_hidden_size", LARGEST, 4 * heads.hiddenSize),
      layers: keys.count("num_hidden_layers", 100_000),
      maxPositions,
      tieWordEmbeddings: keys.flag("tie_word_embeddings", true),
      eps: keys.number("layer_norm_epsilon", { above: 0, atMost: 1 }, 1e-5),
      activation: readActivation(keys, "activation", "gelu"),
      bias: keys.flag("bias", false),
      alibi,
      // As transformers does: probabilities drop out beside ALiBi alone, and of serial parts attention's output by attention's rate.
      dropouts: readDropouts(keys, {
        ...(alibi && { attention: "attention_dropout" }),
        attentionOutput: layout.parallel ? "hidden_dropout" : "attention_dropout",
        mlpOutput: "hidden_dropout",
      }),
      ...readRope(keys, { maxPositions }, warn),
    };
    return config;
  },
  outside: ({ eps }: FalconConfig) => ({ finalNorm: layerNorm("transformer.ln_f", eps) }),
  block,
  classifier: scoreHead,
  targets: ["query_key_value", "dense"],
  // The linears have no biases there, and positions are rotary.
  gguf: {
    architecture: "falcon",
    numbers: {
      ...LLAMA_SIZES,
      ffn_hidden_size: "feed_forward_length",
      num_kv_heads: "attention.head_count_kv",
      layer_norm_epsilon: "attention.layer_norm_epsilon",
      rope_theta: "rope.freq_base",
    },
    others({ config, has }) {
      const two = has("blk.0.attn_norm_2.weight");
      const isNew = two || config.num_kv_heads !== 1;
      return { new_decoder_architecture: isNew, ...(isNew && { num_ln_in_parallel_attn: two ? 2 : 1 }) };
    },
    norms: ({ norms: [, second] }: FalconConfig) => {
      return second === undefined ? {} : { attention: "attn_norm_2", mlp: "attn_norm" };
    },
  },
};
