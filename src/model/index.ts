export { bareNameError } from "./bare-name.js";
export { FOUR_BIT, ROW_MAXIMA, stateOf } from "./bitsandbytes.js";
export { bpeModel, byteLevel } from "./byte-level-bpe.js";
export type { Classification } from "./classifier.js";
export { OUTLIER_THRESHOLD, readOutlierThreshold } from "./config.js";
export { dropoutsShown } from "./dropouts.js";
export { supportedModelTypes, tokenizerOf } from "./families/index.js";
export type { LlamaConfig } from "./families/llama.js";
export { modelDtype, openModel, PLAIN, weightDtype } from "./folder.js";
export {
  canEncode,
  type EncodedDtype,
  encode,
  findGguf,
  type GgufTensorToWrite,
  ggufEndIds,
  ggufNames,
  ggufTokenizer,
  type MetadataValue,
  metadataOf,
  orderRows,
  pretokenizerName,
  readGgufHeader,
  TensorNames,
  tensorType,
  writeGgufFile,
} from "./gguf/index.js";
export { ConfigKeys } from "./keys.js";
export { readSafetensorsHeader, type SafetensorsHeader, type SafetensorsTensor } from "./safetensors.js";
export { safetensorsHeader, type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
export { PIECE, type Piece, type SentencePieces, sentencePieceParts } from "./sentence-piece.js";
export { findWeightFiles, type WeightFiles } from "./shards.js";
export { isStoredTransposed, type LinearModule, listLinears, modelSource, modelSpec } from "./spec.js";
export { patternValues, type TargetRules } from "./target-rules.js";
export {
  candidateTargets,
  defaultTargets,
  type GivenRules,
  matchTargets,
  type ResolvedTargets,
  resolveTargets,
  targetSpec,
} from "./targets.js";
export { type TokenIndices, tokenIndices, tokenRows, tokenTables } from "./token-rows.js";
export { modelVocabSize } from "./vocab-size.js";
export type { Warn } from "./warn.js";
export { wholeModules } from "./whole.js";
export { widen } from "./widen.js";
