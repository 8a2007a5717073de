// GPT-2: LayerNorm before each part, learned positions, q, k and v in one linear, an MLP without a gate (Radford et al., 2019).
import type { BlockSpec } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import type { Family } from "./family.js";
import {
  concatenated,
  gptNames,
  type LayerNormConfig,
  layerNorm,
  plainAttention,
  readActivation,
  readDropouts,
  readEqualHeads,
  scoreHead,
  withOwnNames,
} from "./parts.js";

function block(config: LayerNormConfig): BlockSpec {
  const { hiddenSize: dim, heads, headDim, intermediateSize: mlp, eps, activation } = config;
  return {
    attention: {
      norm: layerNorm("ln_1", eps),
      inputs: [{ module: "attn.c_attn", out: 3 * dim, in: dim, bias: true }],
      ...concatenated(heads, headDim),
      out: { module: "attn.c_proj", out: dim, in: dim, bias: true },
      ...plainAttention(config),
    },
    mlp: {
      norm: layerNorm("ln_2", eps),
      inputs: [{ module: "mlp.c_fc", out: mlp, in: dim, bias: true }],
      down: { module: "mlp.c_proj", out: dim, in: mlp, bias: true },
      activation,
    },
  };
}

/** The numbers of GPT-2, which GPT-J has under the same keys. @throws LowrankError E_CONFIG_VALUE */
export function readGpt2Numbers(
  given: ConfigKeys,
  defaults: { dropout: number; positions: number; tied: boolean },
): Omit<LayerNormConfig, "modelType"> {
  const keys = withOwnNames(given, {
    n_embd: "hidden_size",
    n_positions: "max_position_embeddings",
    n_head: "num_attention_heads",
    n_layer: "num_hidden_layers",
  });
  const heads = readEqualHeads(keys, { hidden: "n_embd", heads: "n_head" });
  return {
    vocabSize: keys.count("vocab_size", LARGEST),
    ...heads,
    intermediateSize: keys.count("n_inner", LARGEST, 4 * heads.hiddenSize),
    layers: keys.count("n_layer", 100_000),
    maxPositions: keys.count("n_positions", 2 ** 31, defaults.positions),
    tieWordEmbeddings: keys.flag("tie_word_embeddings", defaults.tied),
    eps: keys.number("layer_norm_epsilon", { above: 0, atMost: 1 }, 1e-5),
    activation: readActivation(keys, "activation_function", "gelu_new"),
    dropouts: readDropouts(
      keys,
      { embedding: "embd_pdrop", attention: "attn_pdrop", attentionOutput: "resid_pdrop", mlpOutput: "resid_pdrop" },
      defaults.dropout,
    ),
  };
}

export const gpt2: Family = {
  modelType: "gpt2",
  names: gptNames("wte"),
  readConfig(keys) {
    keys.only("scale_attn_weights", [true], true);
    keys.only("scale_attn_by_inverse_layer_idx", [false], false);
    keys.only("add_cross_attention", [false], false);
    // The defaults of transformers' GPT2Config.
    return readGpt2Numbers(keys, { dropout: 0.1, positions: 1024, tied: true });
  },
  outside: ({ maxPositions, eps }: LayerNormConfig) => ({
    positions: { weight: "transformer.wpe.weight", rows: maxPositions, offset: 0 },
    finalNorm: layerNorm("transformer.ln_f", eps),
  }),
  block,
  transposed: true,
  classifier: scoreHead,
  targets: ["c_attn", "c_proj"],
  tokenizer: { className: "GPT2Tokenizer" },
  gguf: {
    architecture: "gpt2",
    numbers: {
      n_positions: "context_length",
      n_embd: "embedding_length",
      n_layer: "block_count",
      n_inner: "feed_forward_length",
      n_head: "attention.head_count",
      layer_norm_epsilon: "attention.layer_norm_epsilon",
    },
  },
};
