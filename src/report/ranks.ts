// The ranks that an adapter uses, as far as a report shows them.
import { placeOf, type Shown, spectrum } from "../analysis/index.js";
import { readFactors } from "../checkpoint/index.js";

/** @throws LowrankError where the folder has no plain LoRA adapter */
export function ranksOf(folder: string): Shown[] {
  const kinds = new Map<string, Shown>();
  for (const factors of readFactors(folder)) {
    const { module } = factors;
    const { kind, layer } = placeOf(module);
    const { rank99, norm } = spectrum(factors);
    const known = kinds.get(kind) ?? { kind, modules: [] };
    known.modules.push({ module, layer, rank99, norm });
    kinds.set(kind, known);
  }
  return [...kinds.values()];
}
