// OPT: LayerNorm before each part, learned positions from row 2 on, an MLP of ReLU (Zhang et al., 2022). OPT-350M has LayerNorm after each part, and
// embeddings that are narrower than the stream.
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
  /** Width of the embedding and the head. */
  tableDim: number;
  normBefore: boolean;
  finalNorm: boolean;
  activation: Activation;
  bias: boolean;
}

const DECODER = "model.decoder.";
/** Of torch's LayerNorm; no key sets it. */
const EPS = 1e-5;
/** Rows of the positions before the first token's. */
const OFFSET = 2;

function block(config: OptConfig): BlockSpec {
  const { hiddenSize: dim, headDim, intermediateSize: mlp, activation, bias, normBefore } = config;
  const norm = (module: string) =>
    normBefore ? { norm: layerNorm(module, EPS) } : { norm: null, residual: { after: layerNorm(module, EPS) } };
  const linear = (module: string, out: number, inputs: number) => ({ module, out, in: inputs, bias });
  return {
    attention: {
      ...norm("self_attn_layer_norm"),
      inputs: ["q_proj", "k_proj", "v_proj"].map((name) => linear(`self_attn.${name}`, dim, dim)),
      ...separate(headDim),
      out: linear("self_attn.out_proj", dim, dim),
      ...plainAttention(config),
    },
    mlp: {
      ...norm("final_layer_norm"),
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
    const normBefore = keys.flag("do_layer_norm_before", true);
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
      tableDim: keys.count("word_embed_proj_dim", LARGEST, heads.hiddenSize),
      normBefore,
      finalNorm: normBefore && !keys.flag("_remove_final_layer_norm", false),
    };
    return config;
  },
  outside: ({ maxPositions, hiddenSize, tableDim, finalNorm }: OptConfig) => ({
    ...(tableDim !== hiddenSize && {
      embeddingLinear: { module: `${DECODER}project_in`, out: hiddenSize, in: tableDim },
      finalLinear: { module: `${DECODER}project_out`, out: tableDim, in: hiddenSize },
    }),
    positions: { weight: `${DECODER}embed_positions.weight`, rows: maxPositions + OFFSET, offset: OFFSET },
    finalNorm: finalNorm ? layerNorm(`${DECODER}final_layer_norm`, EPS) : null,
  }),
  block,
  classifier: (config: OptConfig, labels) => scoreHead({ ...config, hiddenSize: config.tableDim }, labels),
  targets: ["q_proj", "v_proj"],
  tokenizer: { className: "GPT2Tokenizer" },
};
