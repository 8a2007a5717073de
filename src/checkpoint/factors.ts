// The factors of an adapter, without its base.
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { LowrankError } from "../base/errors.js";
import { readJsonObject } from "../base/json.js";
import { findTokenizerFiles } from "../data/index.js";
import {
  patternValues,
  readSafetensorsHeader,
  type SafetensorsTensor,
  type TensorToWrite,
  writeSafetensors,
} from "../model/index.js";
import { aboutAdapter, CONFIG, findWeights, PREFIX, WEIGHTS, withTensors } from "./adapter.js";
import { copyInto, replaceFiles, sortedJson, writeTextFile } from "./files.js";

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
 * @param rest other tensors, as DoRA's magnitudes, biases and layers that are trained whole: an adapter that is made of the factors would
 * lack them
 * @throws LowrankError where there are no factors, where there is more than there may be, or the adapter is damaged
 */
export function readFactors(folder: string, rest: "refused" | "left out" = "refused"): Factors[] {
  const { alpha, useRslora, rules } = aboutAdapter(folder);
  const file = findWeights(folder);
  const pairs = new Map<string, Pair>();
  for (const tensor of readSafetensorsHeader(file).tensors) {
    const parts = /^(.+)\.lora_([AB])\.weight$/.exec(tensor.name);
    if (!parts || tensor.shape.length !== 2) {
      if (rest === "left out") continue;
      const message = `${file}: tensor ${tensor.name} is no factor of a LoRA adapter of linears (MODULE.lora_A.weight, MODULE.lora_B.weight).`;
      throw new LowrankError("E_ADAPTER", message, tensor.name);
    }
    const module = parts[1]!.startsWith(PREFIX) ? parts[1]!.slice(PREFIX.length) : parts[1]!;
    const pair: Pair = pairs.get(module) ?? {};
    pair[parts[2] === "A" ? "a" : "b"] = tensor;
    pairs.set(module, pair);
  }
  if (pairs.size === 0) throw new LowrankError("E_ADAPTER", `${file} holds no factors of a LoRA adapter.`, file);
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

/**
 * Writes factors of scale 1 as an adapter that PEFT loads; the folder is made where there is none. Configuration and tokenizer are those of
 * the first of the adapters that it was made of.
 * @throws LowrankError E_WRITE
 */
export async function writeFactors(
  folder: string,
  factors: readonly Factors[],
  sources: readonly string[],
): Promise<void> {
  const entries = factors.flatMap(({ module, a, b, out, inputs, rank }) => [
    entry(`${PREFIX}${module}.lora_A.weight`, [rank, inputs], a),
    entry(`${PREFIX}${module}.lora_B.weight`, [out, rank], b),
  ]);
  const configs = sources.map((source) => readJsonObject(join(source, CONFIG), "Adapter configuration"));
  const config: Record<string, unknown> = { ...configs[0]!, ...rankEntries(factors), use_rslora: false };
  // Where the sources choose their modules in one way, it is the combination's, too.
  const choice = (json: Record<string, unknown>) => CHOICE.map((key) => json[key] ?? null);
  if (!configs.every((each) => isDeepStrictEqual(choice(each), choice(config)))) {
    for (const key of CHOICE) delete config[key];
    config.target_modules = factors.map(({ module }) => module).sort();
  }
  await replaceFiles(folder, WEIGHTS, async (temporary) => {
    await writeSafetensors(join(temporary, WEIGHTS), entries, { format: "pt" });
    await writeTextFile(join(temporary, CONFIG), sortedJson(config));
    await copyInto(temporary, findTokenizerFiles(sources[0]!));
  });
}

/** Keys of adapter_config.json that choose modules. */
const CHOICE = ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"];

/** The commonest rank as r, the others by their modules; alpha is the rank, so that the scale is 1. */
function rankEntries(factors: readonly Factors[]) {
  const counts = new Map<number, number>();
  for (const { rank } of factors) counts.set(rank, (counts.get(rank) ?? 0) + 1);
  const [r] = [...counts].sort(([x, many], [y, more]) => more - many || x - y)[0]!;
  const others = Object.fromEntries(factors.filter(({ rank }) => rank !== r).map(({ module, rank }) => [module, rank]));
  return { r, lora_alpha: r, rank_pattern: others, alpha_pattern: others };
}

function entry(name: string, shape: number[], data: Float32Array): TensorToWrite {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dtype: "F32", shape, bytes: data.byteLength, data: bytes };
}
