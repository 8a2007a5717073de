// The public face: `Model`, `Trainer` and `loadAdapter`, and the parts below them for those who need more.
export { readAdapter, writeAdapter, writeMerged } from "./checkpoint/index.js";
export { readTexts, splitValidation, TokenDataset, Tokenizer, TokenTable, tokenTable } from "./data/index.js";
export * from "./engine.js";
export { LowrankError } from "./errors.js";
export * from "./library/index.js";
export { openModel, type ResolvedTargets, resolveTargets } from "./model/index.js";
export * from "./trainer/index.js";
