export { tokenTable } from "./prepare.js";
export { fileTexts, givenTexts } from "./sources.js";
export { clearCache, listCache } from "./store.js";
export { TokenTable } from "./table.js";
