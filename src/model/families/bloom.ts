// BLOOM: biases of keys in the place of positions, a norm of the embedding, q, k and v of each head after one another in one linear
// (Scao et al., 2022).
import type { BlockSpec } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { Family } from "./family.js";
import {
  alibiSlopes,
  gptNames,
  grouped,
  type LayerNormConfig,
  layerNorm,
  plainAttention,
  readDropouts,
  readEqualHeads,
  scoreHead,
  withOwnNames,
} from "./parts.js";

function block(config: LayerNormConfig): BlockSpec {
  const { hiddenSize: dim, heads, headDim, intermediateSize: mlp, eps, activation } = config;
  const linear = (module: string, out: number, inputs: number) => ({ module, out, in: inputs, bias: true });
  return {
    attention: {
      norm: layerNorm("input_layernorm", eps),
      inputs: [linear("self_attention.query_key_value", 3 * dim, dim)],
      ...grouped(1, headDim),
      out: linear("self_attention.dense", dim, dim),
      ...plainAttention(config),
      keyBias: { slopes: alibiSlopes(heads), scale: 1, rounded: false },
    },
    mlp: {
      norm: layerNorm("post_attention_layernorm", eps),
      inputs: [linear("mlp.dense_h_to_4h", mlp, dim)],
      down: linear("mlp.dense_4h_to_h", dim, mlp),
      activation,
    },
  };
}

export const bloom: Family = {
  modelType: "bloom",
  names: gptNames("word_embeddings"),
  // The defaults of transformers' BloomConfig. No key sets the MLP's size and its activation.
  readConfig(given) {
    const keys = withOwnNames(given, {
      hidden_size: "n_embed",
      n_head: "num_attention_heads",
      n_layer: "num_hidden_layers",
    });
    keys.only("apply_residual_connection_post_layernorm", [false], false);
    const heads = readEqualHeads(keys, { hidden: "hidden_size", heads: "n_head" });
    const config: Omit<LayerNormConfig, "modelType"> = {
      vocabSize: keys.count("vocab_size", LARGEST),
      ...heads,
      intermediateSize: 4 * heads.hiddenSize,
      layers: keys.count("n_layer", 100_000),
      maxPositions: keys.count("seq_length", 2 ** 31, 2048),
      tieWordEmbeddings: keys.flag("tie_word_embeddings", true),
      eps: keys.number("layer_norm_epsilon", { above: 0, atMost: 1 }, 1e-5),
      activation: "gelu_tanh",
      dropouts: readDropouts(keys, {
        attention: "attention_dropout",
        attentionOutput: "hidden_dropout",
        mlpOutput: "hidden_dropout",
      }),
    };
    return config;
  },
  outside: ({ eps }: LayerNormConfig) => ({
    embeddingNorm: layerNorm("transformer.word_embeddings_layernorm", eps),
    finalNorm: layerNorm("transformer.ln_f", eps),
  }),
  block,
  classifier: scoreHead,
  targets: ["query_key_value", "dense"],
  gguf: {
    architecture: "bloom",
    numbers: {
      seq_length: "context_length",
      hidden_size: "embedding_length",
      n_layer: "block_count",
      intermediate_size: "feed_forward_length",
      n_head: "attention.head_count",
      num_key_value_heads: "attention.head_count_kv",
      layer_norm_epsilon: "attention.layer_norm_epsilon",
    },
  },
};
