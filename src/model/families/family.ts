import type { BlockSpec, ClassifierSpec, ModelConfig, ModelSpec } from "../../native/index.js";
import type { ConfigKeys } from "../keys.js";
import type { Warn } from "../warn.js";
import type { GgufNames } from "./gguf.js";

/** Names of the tensors outside of the blocks. */
export interface FamilyNames {
  /** Names of a model that was saved without its head lack this prefix. */
  base: string;
  embedding: string;
  /** Weight of the norm before the head; empty where there is none. */
  finalNorm: string;
  /** Empty where the family has no head of a language model: an encoder, which only classifies. */
  head: string;
  /** Followed by a layer's number and a dot. */
  layers: string;
  /** Beginnings of names in files that are others in the model, and so in adapters. */
  inFiles?: Record<string, string>;
}

export type Outside = Pick<
  ModelSpec,
  | "finalNorm"
  | "embeddingLinear"
  | "finalLinear"
  | "positions"
  | "tokenTypes"
  | "embeddingNorm"
  | "embeddingScale"
  | "logitCap"
  | "headBias"
>;

/** What transformers does about a family's tokenizer. */
export interface FamilyTokenizer {
  /** The class, without Fast, where tokenizer_config.json names none. */
  className?: string;
  /** The class counts whatever tokenizer_config.json names. */
  always?: boolean;
  /** tokenizer.json counts as it is, whatever class is named. */
  asStored?: boolean;
  /** Texts of a SentencePiece file begin with bos where neither a class nor a setting decides. */
  begins?: boolean;
}

/** A model family, by the `model_type` of config.json. */
export interface Family {
  modelType: string;
  names: FamilyNames;
  /** The numbers, and others that the functions below read. @throws LowrankError E_CONFIG_VALUE */
  readConfig(keys: ConfigKeys, warn: Warn): Omit<ModelConfig, "modelType">;
  /** The parts outside of the blocks. */
  outside(config: ModelConfig): Outside;
  /** The block, of any layer. */
  block(config: ModelConfig): BlockSpec;
  /** The end of a classifier (ForSequenceClassification) with this number of labels; undefined: there are none of the family. */
  classifier?(config: ModelConfig, labels: number): Pick<ClassifierSpec, "lastToken" | "layers">;
  /** Weights of linears are stored (in, out), as Conv1D of transformers has them. Default false. */
  transposed?: boolean;
  /** `target_modules` where none are given. */
  targets: string[];
  tokenizer?: FamilyTokenizer;
  /** Undefined: GGUF files of this family are not read. */
  gguf?: GgufNames;
}
