export { readError, readText, writeError } from "../system-errors.js";
export { NF4, ROW_MAXIMA } from "./bitsandbytes.js";
export { findWeightFiles, modelDtype, openModel, PLAIN, type WeightFiles, weightDtype } from "./folder.js";
export { findGguf, ggufTokenizer } from "./gguf/index.js";
export { isObject, jsonProblem, kindOf, parseJson, placeIn, readJsonObject } from "./json.js";
export { ConfigKeys } from "./keys.js";
export { readSafetensorsHeader, type SafetensorsHeader, type SafetensorsTensor } from "./safetensors.js";
export { type TensorToWrite, writeSafetensors } from "./safetensors-write.js";
export { candidateTargets, matchTargets, type ResolvedTargets, resolveTargets } from "./targets.js";
