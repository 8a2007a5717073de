export { findGguf, findGgufBase } from "./find.js";
export { openGguf } from "./model.js";
export { ggufTokenizer } from "./tokenizer.js";
