import type { Family, GgufNames } from "./family.js";
import { llama } from "./llama.js";
import { qwen2 } from "./qwen2.js";

/** The families, by `model_type`. */
const FAMILIES: readonly Family[] = [llama, qwen2];

export type { Family, FamilyNames, GgufNames } from "./family.js";

export const supportedModelTypes = (): string[] => FAMILIES.map(({ modelType }) => modelType);

export function findFamily(modelType: string): Family | undefined {
  return FAMILIES.find((family) => family.modelType === modelType);
}

/** The `general.architecture` of GGUF files that can be read. */
export const ggufArchitectures = (): string[] => FAMILIES.flatMap(({ gguf }) => (gguf ? [gguf.architecture] : []));

export function findGgufFamily(architecture: string): (Family & { gguf: GgufNames }) | undefined {
  for (const family of FAMILIES) {
    if (family.gguf?.architecture === architecture) return { ...family, gguf: family.gguf };
  }
  return undefined;
}
