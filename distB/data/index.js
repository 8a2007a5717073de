export { clearCache, fileTexts, givenTexts, listCache, TokenTable, tokenTable, } from "./cache/index.js";
export { TokenDataset } from "./dataset.js";
export { dataFiles, requireApart } from "./files.js";
export { ggufFile } from "./gguf-tokenizer.js";
export { epochOrder, groupByLength, splitValidation } from "./order.js";
export { readChatTemplate, readEosIds } from "./special-tokens.js";
export { placesOf, readTexts } from "./texts.js";
export { Tokenizer } from "./tokenizer.js";
export { findMainFile, findTokenizerFiles, isTokenizerFile } from "./tokenizer-files.js";
