export { type CacheOptions, type Tokenised, tokenTable } from "./prepare.js";
export { fileRows, fileTexts, givenRows, givenTexts, type TextSource } from "./sources.js";
export { type CacheEntry, clearCache, listCache } from "./store.js";
export { TokenTable } from "./table.js";
