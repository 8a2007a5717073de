import { bert } from "./bert.js";
import { bloom } from "./bloom.js";
import { cohere } from "./cohere.js";
import { cohere2 } from "./cohere2.js";
import { distilbert } from "./distilbert.js";
import { falcon } from "./falcon.js";
import type { Family, FamilyTokenizer } from "./family.js";
import { gemma } from "./gemma.js";
import { gemma2 } from "./gemma2.js";
import { gemma3 } from "./gemma3.js";
import type { GgufNames } from "./gguf.js";
import { gptNeo } from "./gpt-neo.js";
import { gptNeox } from "./gpt-neox.js";
import { gpt2 } from "./gpt2.js";
import { gptj } from "./gptj.js";
import { granite } from "./granite.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { olmo2 } from "./olmo2.js";
import { opt } from "./opt.js";
import { phi } from "./phi.js";
import { phi3 } from "./phi3.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";
import { roberta } from "./roberta.js";
import { smollm3 } from "./smollm3.js";
import { stablelm } from "./stablelm.js";

/** The families, by `model_type`. */
const FAMILIES: readonly Family[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma,
  gemma2,
  gemma3,
  phi3,
  smollm3,
  olmo2,
  granite,
  gpt2,
  opt,
  falcon,
  bert,
  distilbert,
  roberta,
  gptNeo,
  gptNeox,
  gptj,
  bloom,
  phi,
  stablelm,
  cohere,
  cohere2,
];

export type { Family, FamilyNames, FamilyTokenizer } from "./family.js";
export type { GgufFacts, GgufNames, GgufNumber } from "./gguf.js";

export const supportedModelTypes = (): string[] => FAMILIES.map(({ modelType }) => modelType);

export function findFamily(modelType: string): Family | undefined {
  return FAMILIES.find((family) => family.modelType === modelType);
}

/** Of the `model_type` of config.json, whatever stands there. */
export const tokenizerOf = (modelType: unknown): FamilyTokenizer => findFamily(String(modelType))?.tokenizer ?? {};

/** The `general.architecture` of GGUF files that can be read. */
export const ggufArchitectures = (): string[] => [
  ...new Set(FAMILIES.flatMap(({ gguf }) => (gguf ? [gguf.architecture] : []))),
];

export function findGgufFamily(architecture: string): (Family & { gguf: GgufNames }) | undefined {
  for (const family of FAMILIES) {
    if (family.gguf?.architecture === architecture) return { ...family, gguf: family.gguf };
  }
  return undefined;
}
