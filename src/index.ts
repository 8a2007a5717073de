// The public face: `Model`, `Trainer` and `loadAdapter`, and the parts below them for programs that need more.

export { LowrankError } from "./base/errors.js";
export { readAdapter, writeAdapter, writeMerged } from "./checkpoint/index.js";
export { readTexts, splitValidation, TokenDataset, Tokenizer, TokenTable, tokenTable } from "./data/index.js";
export * from "./library/index.js";
export { openModel, type ResolvedTargets, resolveTargets } from "./model/index.js";
export * from "./native/index.js";
export * from "./trainer/index.js";
