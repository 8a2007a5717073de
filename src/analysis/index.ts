export { type Advice, advise, isKept, type Measured, smallerRanks } from "./advice.js";
export { analyze, type Comparison, compare, type KindAnalysis, type ModuleAnalysis, placeOf } from "./analysis.js";
export { baseNorms } from "./base-norms.js";
export { COMBINATIONS, type Combination, type CombineOptions, combine } from "./combine.js";
export { type Compressed, compress, padded, type Target } from "./compress.js";
export { heatMap } from "./heat-map.js";
export { type Columns, svd, thinQr } from "./linear-algebra.js";
export { energyRank, type Measures, measure } from "./measures.js";
export { updateSvd } from "./update.js";
