// OPT: LayerNorm before each part, learned positions from row 2 on, an MLP of ReLU (Zhang et al., 2022).
import type { Activation, BlockSpec, ModelConfig } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { Family } from "./family.js";
import {
  layerNorm,
  plainAttention,
  readActivation,
  readDropouts,
  readEqualHeads,
  scoreHead,
  separate,
} from "./parts.js";

interface OptConfig extends ModelConfig {
  activation: Activation;
  bias: boolean;
}

/** Of torch's LayerNorm; no key sets it. */
const EPS = 1e-5;
/** Rows of the positions before the first token's. */
const OFFSET = 2;

function block(config: OptConfig): BlockSpec {
  const { hiddenSize: dim, headDim, intermediateSize: mlp, activation, bias } = config;
  const linear = (module: string, out: number, inputs: number) => ({ module, out, in: inputs, bias });
  return {
    attention: {
      norm: layerNorm("self_attn_layer_norm", EPS),
      inputs: ["q_proj", "k_proj", "v_proj"].map((name) => linear(`self_attn.${name}`, dim, dim)),
      ...separate(headDim),
      out: linear("self_attn.out_proj", dim, dim),
      ...plainAttention(config),
    },
    mlp: {
      norm: layerNorm("final_layer_norm", EPS),
      inputs: [linear("fc1", mlp, dim)],
      down: linear("fc2", dim, mlp),
      activation,
    },
  };
}

export const opt: Family = {
  modelType: "opt",
  names: {
    base: "model.",
    embedding: "model.decoder.embed_tokens.weight",
    finalNorm: "model.decoder.final_layer_norm.weight",
    head: "lm_head.weight",
    layers: "model.decoder.layers.",
  },
  // The defaults of transformers' OPTConfig.
  readConfig(keys) {
    const heads = readEqualHeads(keys);
    keys.only("do_layer_norm_before", [true], true);
    keys.only("word_embed_proj_dim", [heads.hiddenSize], heads.hiddenSize);
    keys.only("_remove_final_layer_norm", [false], false);
    keys.only("layer_norm_elementwise_affine", [true], true);
    keys.only("layerdrop", [0], 0);
    const config: Omit<OptConfig, "modelType"> = {
      vocabSize: keys.count("vocab_size", LARGEST),
      ...heads,
      intermediateSize: keys.count("ffn_dim", LARGEST, 3072),
      layers: keys.count("num_hidden_layers", 100_000),
      maxPositions: keys.count("max_position_embeddings", 2 ** 31 - OFFSET, 2048),
      tieWordEmbeddings: keys.flag("tie_word_embeddings", true),
      activation: readActivation(keys, "activation_function", "relu"),
      dropouts: readDropouts(
        keys,
        { attention: "attention_dropout", attentionOutput: "dropout", mlpOutput: "dropout" },
        { attentionOutput: 0.1, mlpOutput: 0.1 },
      ),
      bias: keys.flag("enable_bias", true),
    };
    return config;
  },
  outside: ({ maxPositions }) => ({
    positions: { weight: "model.decoder.embed_positions.weight", rows: maxPositions + OFFSET, offset: OFFSET },
    finalNorm: layerNorm("model.decoder.final_layer_norm", EPS),
  }),
  block,
  classifier: scoreHead,
  targets: ["q_proj", "v_proj"],
};
