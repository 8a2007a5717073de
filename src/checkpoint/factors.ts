// The factors of an adapter, without its base.
import { LowrankError } from "../base/errors.js";
import { patternValues, readSafetensorsHeader, type SafetensorsTensor } from "../model/index.js";
import { aboutAdapter, findWeights, PREFIX, withTensors } from "./adapter.js";

/** One module's factors: A (R, I) and B (O, R), row after row. */
export interface Factors {
  /** Such as "model.layers.0.self_attn.q_proj". */
  module: string;
  a: Float32Array;
  b: Float32Array;
  out: number;
  inputs: number;
  rank: number;
  /** alpha / r, or alpha / sqrt(r) with rsLoRA. */
  scale: number;
}

interface Pair {
  a?: SafetensorsTensor;
  b?: SafetensorsTensor;
}

/**
 * The factors of every module, in the order of the layers as far as names tell.
 * @throws LowrankError where the adapter is not plain LoRA or is damaged
 */
export function readFactors(folder: string): Factors[] {
  const { alpha, useRslora, rules } = aboutAdapter(folder);
  const file = findWeights(folder);
  const pairs = new Map<string, Pair>();
  for (const tensor of readSafetensorsHeader(file).tensors) {
    const parts = /^(.+)\.lora_([AB])\.weight$/.exec(tensor.name);
    if (!parts || tensor.shape.length !== 2) {
      const message = `${file}: tensor ${tensor.name} is no factor of a LoRA adapter of linears (MODULE.lora_A.weight, MODULE.lora_B.weight).`;
      throw new LowrankError("E_ADAPTER", message, tensor.name);
    }
    const module = parts[1]!.startsWith(PREFIX) ? parts[1]!.slice(PREFIX.length) : parts[1]!;
    const pair: Pair = pairs.get(module) ?? {};
    pair[parts[2] === "A" ? "a" : "b"] = tensor;
    pairs.set(module, pair);
  }
  const modules = [...pairs.keys()].sort((x, y) => x.localeCompare(y, "en", { numeric: true }));
  const alphas = rules.alpha_pattern ? patternValues(rules.alpha_pattern, modules, "alpha_pattern") : {};
  return withTensors(file, (read) =>
    modules.map((module) => {
      const { a, b } = pairs.get(module)!;
      if (!a || !b) {
        const message = `${file}: module ${module} has only ${a ? "lora_A" : "lora_B"}, expected lora_A and lora_B.`;
        throw new LowrankError("E_ADAPTER", message, module);
      }
      const [[rank, inputs], [out, same]] = [a.shape as [number, number], b.shape as [number, number]];
      if (rank !== same) {
        const message = `${file}: module ${module} has lora_A of rank ${rank} and lora_B of rank ${same}.`;
        throw new LowrankError("E_ADAPTER", message, module);
      }
      const scale = (alphas[module] ?? alpha) / (useRslora ? Math.sqrt(rank) : rank);
      return { module, a: read(a), b: read(b), out, inputs, rank, scale };
    }),
  );
}
