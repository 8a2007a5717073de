export { type DatasetOptions, type MicroBatch, TextDataset } from "./dataset.js";
export { epochOrder, splitValidation } from "./order.js";
export { prefetch } from "./prefetch.js";
export { readEosIds } from "./special-tokens.js";
export { readTexts, type TextRows } from "./texts.js";
export type { TokenStream } from "./token-stream.js";
export { Tokenizer } from "./tokenizer.js";
export { findTokenizerFiles, isTokenizerFile } from "./tokenizer-files.js";
