// DistilBERT: BERT without token types and pooler; pre_classifier and classifier are trained (Sanh et al., 2019).
import { LARGEST } from "../heads.js";
import { dense, type EncoderConfig, encoderBlock, encoderEmbeddings, encoderNames } from "./bert.js";
import type { Family } from "./family.js";
import { readActivation, readDropout, readDropouts, readEqualHeads } from "./parts.js";

export const distilbert: Family = {
  modelType: "distilbert",
  names: encoderNames("distilbert.", "embeddings.word_embeddings.weight", "transformer.layer."),
  // The defaults of transformers' DistilBertConfig.
  readConfig(keys) {
    const config: Omit<EncoderConfig, "modelType"> = {
      vocabSize: keys.count("vocab_size", LARGEST),
      ...readEqualHeads(keys, { hidden: "dim", heads: "n_heads" }),
      intermediateSize: keys.count("hidden_dim", LARGEST, 3072),
      layers: keys.count("n_layers", 100_000, 6),
      maxPositions: keys.count("max_position_embeddings", 2 ** 31, 512),
      firstPosition: 0,
      types: 0,
      tieWordEmbeddings: true,
      eps: 1e-12,
      activation: readActivation(keys, "activation", "gelu"),
      // Attention's output has none.
      dropouts: readDropouts(keys, { embedding: "dropout", attention: "attention_dropout", mlpOutput: "dropout" }, 0.1),
      headDropout: readDropout(keys, "seq_classif_dropout", 0.2),
    };
    return config;
  },
  outside: (config: EncoderConfig) => encoderEmbeddings(config, "distilbert.embeddings."),
  block: (config: EncoderConfig) =>
    encoderBlock(config, {
      inputs: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
      out: "attention.out_lin",
      attentionNorm: "sa_layer_norm",
      up: "ffn.lin1",
      down: "ffn.lin2",
      mlpNorm: "output_layer_norm",
    }),
  classifier: ({ hiddenSize: dim, headDropout: dropout }: EncoderConfig, labels) => ({
    lastToken: false,
    layers: [
      dense("pre_classifier", [dim, dim], {}),
      dense("classifier", [labels, dim], { function: "relu", dropout }),
    ],
  }),
  targets: ["q_lin", "v_lin"],
  tokenizer: { className: "BertTokenizer" },
};
