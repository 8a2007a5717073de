// BERT: an encoder with LayerNorm after each part, learned positions and token types; its pooler reads the first token (Devlin et al., 2019).
import type { Activation, BlockSpec, DenseSpec, ModelConfig } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import type { Family, FamilyNames, Outside } from "./family.js";
import { layerNorm, readActivation, readDropout, readDropouts, readEqualHeads, separate } from "./parts.js";

/** Numbers of an encoder. */
export interface EncoderConfig extends ModelConfig {
  eps: number;
  activation: Activation;
  /** Rows of the positions before the first token's. */
  firstPosition: number;
  /** Rows of the token types; 0: there are none. */
  types: number;
  /** Within the head, while training. */
  headDropout: number;
}

/** Names within an encoder with this prefix. */
export function encoderNames(base: string, embedding: string, layers: string): FamilyNames {
  return { base, embedding: base + embedding, finalNorm: "", head: "", layers: base + layers };
}

/** Modules of an encoder's block. */
interface EncoderModules {
  /** q, k and v */
  inputs: [string, string, string];
  out: string;
  attentionNorm: string;
  up: string;
  down: string;
  mlpNorm: string;
}

/** x = norm(x + attention(x)); x = norm(x + mlp(x)) */
export function encoderBlock(config: EncoderConfig, modules: EncoderModules): BlockSpec {
  const { hiddenSize: dim, heads, headDim, intermediateSize: mlp, eps, activation } = config;
  const linear = (module: string, out: number, inputs: number) => ({ module, out, in: inputs, bias: true });
  return {
    attention: {
      norm: null,
      inputs: modules.inputs.map((module) => linear(module, dim, dim)),
      ...separate(headDim),
      out: linear(modules.out, dim, dim),
      heads,
      kvHeads: heads,
      headDim,
      kinds: [{ window: 0, rope: null }],
      bidirectional: true,
      residual: { after: layerNorm(modules.attentionNorm, eps) },
    },
    mlp: {
      norm: null,
      inputs: [linear(modules.up, mlp, dim)],
      down: linear(modules.down, dim, mlp),
      activation,
      residual: { after: layerNorm(modules.mlpNorm, eps) },
    },
  };
}

/** The embeddings of an encoder, with the modules' prefix. */
export function encoderEmbeddings(config: EncoderConfig, prefix: string): Outside {
  const { maxPositions, firstPosition, types, eps } = config;
  const rows = maxPositions + firstPosition;
  return {
    positions: { weight: `${prefix}position_embeddings.weight`, rows, offset: firstPosition },
    ...(types > 0 && { tokenTypes: { weight: `${prefix}token_type_embeddings.weight`, rows: types } }),
    embeddingNorm: layerNorm(`${prefix}LayerNorm`, eps),
    finalNorm: null,
  };
}

/** A layer of a head. */
export function dense(
  module: string,
  [out, inputs]: [number, number],
  rest: Partial<Pick<DenseSpec, "function" | "dropout">>,
): DenseSpec {
  return { linear: { module, out, in: inputs, bias: true }, function: "none", dropout: 0, ...rest };
}

/** The numbers of BERT's config.json, and of RoBERTa's. */
export function readBertNumbers(keys: ConfigKeys, firstPosition: number): Omit<EncoderConfig, "modelType"> {
  keys.only("position_embedding_type", ["absolute"], "absolute");
  keys.only("is_decoder", [false], false);
  keys.only("add_cross_attention", [false], false);
  const hidden = "hidden_dropout_prob";
  return {
    vocabSize: keys.count("vocab_size", LARGEST),
    ...readEqualHeads(keys),
    intermediateSize: keys.count("intermediate_size", LARGEST),
    layers: keys.count("num_hidden_layers", 100_000),
    maxPositions: keys.count("max_position_embeddings", 2 ** 31, 512) - firstPosition,
    firstPosition,
    types: keys.count("type_vocab_size", LARGEST, 2),
    tieWordEmbeddings: true,
    eps: keys.number("layer_norm_eps", { above: 0, atMost: 1 }, 1e-12),
    activation: readActivation(keys, "hidden_act", "gelu"),
    dropouts: readDropouts(
      keys,
      { embedding: hidden, attention: "attention_probs_dropout_prob", attentionOutput: hidden, mlpOutput: hidden },
      0.1,
    ),
    headDropout: readDropout(keys, "classifier_dropout", readDropout(keys, hidden, 0.1)),
  };
}

/** BERT's block, which RoBERTa has, too. */
export const bertBlock = (config: EncoderConfig): BlockSpec =>
  encoderBlock(config, {
    inputs: ["attention.self.query", "attention.self.key", "attention.self.value"],
    out: "attention.output.dense",
    attentionNorm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    mlpNorm: "output.LayerNorm",
  });

export const bert: Family = {
  modelType: "bert",
  names: encoderNames("bert.", "embeddings.word_embeddings.weight", "encoder.layer."),
  // The defaults of transformers' BertConfig.
  readConfig: (keys) => readBertNumbers(keys, 0),
  outside: (config: EncoderConfig) => ({
    ...encoderEmbeddings(config, "bert.embeddings."),
    finalLinear: { module: "bert.pooler.dense", out: config.hiddenSize, in: config.hiddenSize, bias: true },
  }),
  block: bertBlock,
  classifier: ({ hiddenSize: dim, headDropout: dropout }: EncoderConfig, labels) => ({
    lastToken: false,
    // The function of the pooler.
    layers: [dense("classifier", [labels, dim], { function: "tanh", dropout })],
  }),
  targets: ["query", "value"],
  tokenizer: { className: "BertTokenizer" },
};
