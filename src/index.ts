// The public face. It is small still: see docs/architecture.md for what is behind it.
export { readAdapter, writeAdapter, writeMerged } from "./checkpoint/index.js";
export { readTexts, splitValidation, TokenDataset, Tokenizer, TokenTable, tokenTable } from "./data/index.js";
export * from "./engine.js";
export { LowrankError } from "./errors.js";
export { openModel, type ResolvedTargets, resolveTargets } from "./model/index.js";
export * from "./trainer/index.js";
