export { findGguf, findGgufBase } from "./find.js";
export { openGguf } from "./model.js";
export { ggufEndIds, ggufTokenizer } from "./tokenizer.js";
