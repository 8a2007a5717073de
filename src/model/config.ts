// config.json of a model folder to the numbers that the engine takes.

import { LowrankError } from "../base/errors.js";
import { isObject, kindOf, readJsonObject } from "../base/json.js";
import { suggestion } from "../base/nearest.js";
import type { ModelConfig } from "../native/index.js";
import { type ClassifierKeys, readClassifierKeys } from "./classifier.js";
import { type Family, findFamily, supportedModelTypes } from "./families/index.js";
import { ConfigKeys } from "./keys.js";
import type { Warn } from "./warn.js";

/** LLM.int8's, where nothing else is said. */
export const OUTLIER_THRESHOLD = 6;

/**
 * Reads and checks config.json; the numbers of a classifier where they are asked for.
 * @throws LowrankError E_FILE_MISSING, E_JSON, E_ARCHITECTURE, E_QUANTIZED, E_CONFIG_VALUE
 */
export function readConfig(file: string, warn: Warn): { config: ModelConfig; classifier: () => ClassifierKeys } {
  const json = readJsonObject(file, "Model configuration");
  const family = checkFamily(json.model_type, file);
  const keys = new ConfigKeys(json, file);
  if (keys.given("quantization_config")) {
    const method = isObject(json.quantization_config) ? json.quantization_config.quant_method : undefined;
    if (method !== "bitsandbytes") {
      throw new LowrankError(
        "E_QUANTIZED",
        `${file}: the weights are quantised by ${method ? String(method) : "a method that quantization_config does not name"}, ` +
          "expected bitsandbytes. Use such a folder, a GGUF file, or the folder with f32, bf16 or f16 weights.",
        "quantization_config",
      );
    }
  }
  const config = { modelType: family.modelType, ...family.readConfig(keys, warn) };
  return { config, classifier: () => readClassifierKeys(keys) };
}

/**
 * Magnitude from which on activations of a folder with int8 weights are outliers in LLM.int8; Infinity where none are.
 * @throws LowrankError E_CONFIG_VALUE
 */
export function readOutlierThreshold(file: string): number {
  const { quantization_config: quantization } = readJsonObject(file, "Model configuration");
  const found = isObject(quantization) ? (quantization.llm_int8_threshold ?? OUTLIER_THRESHOLD) : OUTLIER_THRESHOLD;
  if (typeof found === "number" && found >= 0) return found === 0 ? Number.POSITIVE_INFINITY : found;
  const message = `${file}: llm_int8_threshold is ${JSON.stringify(found)}, expected a number of at least 0.`;
  throw new LowrankError("E_CONFIG_VALUE", message, "llm_int8_threshold");
}

function checkFamily(modelType: unknown, file: string): Family {
  const family = typeof modelType === "string" ? findFamily(modelType) : undefined;
  if (family) return family;
  const found =
    typeof modelType === "string"
      ? `"${modelType}" is not supported${suggestion(modelType, supportedModelTypes())}`
      : `is ${kindOf(modelType)}`;
  throw new LowrankError(
    "E_ARCHITECTURE",
    `${file}: model_type ${found}. Supported architectures: ${supportedModelTypes().join(", ")}.`,
    "model_type",
  );
}
