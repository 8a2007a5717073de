import { type ModelSource, type PlainDtype, type WeightDtype } from "../native/index.js";
import type { Warn } from "./warn.js";
/** Formats that are not quantised. */
export declare const PLAIN: readonly WeightDtype[];
/** The engine's dtype for a safetensors one, undefined where the engine cannot read it. */
export declare function weightDtype(dtype: string): PlainDtype | undefined;
/**
 * Reads a model folder or GGUF file; the weights themselves stay on the disk.
 * @throws LowrankError whose message names the file, key or tensor that is wrong
 */
export declare function openModel(folder: string, warn?: Warn): ModelSource;
/** The dtype that most of the model's elements have once it is loaded. */
export declare function modelDtype(model: ModelSource): WeightDtype;
