import { type ModelConfig } from "../native/index.js";
import type { Warn } from "./warn.js";
export declare const EMBEDDING = "model.embed_tokens.weight";
/** The weight of a head that is not the embedding. */
export declare const HEAD = "lm_head.weight";
/** LLM.int8's, where nothing else is said. */
export declare const OUTLIER_THRESHOLD = 6;
/**
 * Reads and checks config.json. Defaults are those of transformers' LlamaConfig.
 * @throws LowrankError E_FILE_MISSING, E_JSON, E_ARCHITECTURE, E_QUANTIZED, E_CONFIG_VALUE
 */
export declare function readConfig(file: string, warn: Warn): ModelConfig;
/**
 * Magnitude from which on activations of a folder with int8 weights are outliers in LLM.int8; Infinity where none are.
 * @throws LowrankError E_CONFIG_VALUE
 */
export declare function readOutlierThreshold(file: string): number;
