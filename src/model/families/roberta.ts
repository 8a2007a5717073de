// RoBERTa: BERT's blocks; positions are counted from the padding token's number on, and a head of two layers is trained (Liu et al., 2019).
import { LARGEST } from "../heads.js";
import { bertBlock, dense, type EncoderConfig, encoderEmbeddings, encoderNames, readBertNumbers } from "./bert.js";
import type { Family } from "./family.js";

export const roberta: Family = {
  modelType: "roberta",
  names: encoderNames("roberta.", "embeddings.word_embeddings.weight", "encoder.layer."),
  // The defaults of transformers' RobertaConfig.
  readConfig(keys) {
    const padId = keys.json.pad_token_id === 0 ? 0 : keys.count("pad_token_id", LARGEST, 1);
    return readBertNumbers(keys, padId + 1);
  },
  outside: (config: EncoderConfig) => encoderEmbeddings(config, "roberta.embeddings."),
  block: bertBlock,
  classifier: ({ hiddenSize: dim, headDropout: dropout }: EncoderConfig, labels) => ({
    lastToken: false,
    layers: [
      dense("classifier.dense", [dim, dim], { dropout }),
      dense("classifier.out_proj", [labels, dim], { function: "tanh", dropout }),
    ],
  }),
  targets: ["query", "value"],
  tokenizer: { className: "RobertaTokenizer" },
};
