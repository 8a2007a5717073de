export {
  type CacheEntry,
  type CacheOptions,
  clearCache,
  fileTexts,
  givenTexts,
  type LongText,
  listCache,
  type TextSource,
  type Tokenised,
  TokenTable,
  tokenTable,
} from "./cache/index.js";
export { type DatasetOptions, type MicroBatch, TokenDataset } from "./dataset.js";
export { dataFiles, requireApart } from "./files.js";
export type { Wanted } from "./folder.js";
export type { ReadOptions } from "./formats/format.js";
export { ggufFile } from "./gguf-tokenizer.js";
export { epochOrder, groupByLength, splitValidation } from "./order.js";
export { readChatTemplate, readEosIds } from "./special-tokens.js";
export type { TextEnd } from "./text-end.js";
export { placesOf, readTexts, type TextRows } from "./texts.js";
export type { TokenStream } from "./token-stream.js";
export { Tokenizer } from "./tokenizer.js";
export { findMainFile, findTokenizerFiles, isTokenizerFile } from "./tokenizer-files.js";
