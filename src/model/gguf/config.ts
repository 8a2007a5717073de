// The configuration of a GGUF file: its numbers under the names of config.json, which the family reads as it reads that file.
import { LowrankError } from "../../base/errors.js";
import type { ModelConfig } from "../../native/index.js";
import { type Family, findGgufFamily, type GgufNames, ggufArchitectures } from "../families/index.js";
import { ConfigKeys } from "../keys.js";
import { type Metadata, shown } from "./metadata.js";
import { readNumber } from "./numbers.js";
import { ropeFactorNames, scalingOfFactors } from "./rope-factors.js";

/** A file's header, or the parts of one that is not written yet. */
export interface GgufSource {
  file: string;
  metadata: Metadata;
  /** Rows of the embedding; undefined where there is none. */
  vocabSize: number | undefined;
  has(tensor: string): boolean;
  /** The numbers of a tensor of rotary factors; undefined where there is none. @throws LowrankError E_GGUF for another length */
  factors(tensor: string, length: number): Float32Array | undefined;
}

export type GgufFamily = Family & { gguf: GgufNames };

/** @throws LowrankError E_ARCHITECTURE, E_CONFIG_VALUE, E_GGUF */
export function readGgufConfig(source: GgufSource): { config: ModelConfig; family: GgufFamily } {
  const { file, metadata } = source;
  const architecture = metadata.text("general.architecture");
  const family = findGgufFamily(architecture);
  if (!family) {
    const message = `${file}: general.architecture is ${shown(architecture)}. Supported in GGUF files: ${ggufArchitectures().join(", ")}.`;
    throw new LowrankError("E_ARCHITECTURE", message, "general.architecture");
  }
  metadata.only(`${architecture}.expert_count`, [0], 0);
  metadata.only(`${architecture}.attention.causal`, [true], true);
  const json = readJson(source, family.gguf);
  const names = Object.entries(family.gguf.numbers).map(([key, name]) => [key, `${architecture}.${name}`]);
  const read = family.readConfig(new ConfigKeys(json, file, "", Object.fromEntries(names)), () => {});
  const stored = family.gguf.wholeNorms ? { normOffset: 0 } : {};
  // The file names no dropouts, so that there are none.
  return { config: { modelType: family.modelType, ...read, ...stored, dropouts: undefined }, family };
}

/** The keys of config.json. */
function readJson(source: GgufSource, { architecture, numbers, others }: GgufNames): Record<string, unknown> {
  const { metadata, has } = source;
  const number = (key: Parameters<typeof readNumber>[2]) => readNumber(metadata, architecture, key);
  const headDim = number("attention.key_length") as number;
  metadata.only(`${architecture}.attention.value_length`, [headDim], headDim);
  const rotary = (number("rope.dimension_count") as number | undefined) ?? headDim;
  const config: Record<string, unknown> = {
    vocab_size: source.vocabSize ?? metadata.count(`${architecture}.vocab_size`),
    tie_word_embeddings: !has("output.weight"),
  };
  let rotates = false;
  for (const [key, name] of Object.entries(numbers)) {
    const isPart = name === "rope.dimension_count";
    // Half a column more, so that the product with the head's width is no column less.
    config[key] = isPart ? (rotary === headDim ? 1 : (rotary + 0.5) / headDim) : number(name);
    rotates ||= name === "rope.freq_base";
    if (isPart && rotary > headDim) metadata.only(`${architecture}.rope.dimension_count`, [headDim], headDim);
  }
  const isWhole = !Object.values(numbers).includes("rope.dimension_count");
  if (rotates && isWhole) metadata.only(`${architecture}.rope.dimension_count`, [headDim], headDim);
  const scaling = rotates ? readScaling(source, architecture, rotary) : {};
  return { ...config, ...scaling, ...others?.({ config, has }) };
}

/** rope_scaling; of longrope the trained length beside it, too. */
function readScaling(source: GgufSource, architecture: string, rotary: number): Record<string, unknown> {
  const { metadata, factors } = source;
  const key = (name: string) => `${architecture}.rope.scaling.${name}`;
  const [long, short] = ropeFactorNames.long.map((name) => factors(name, rotary / 2));
  if (long && short) {
    const original = metadata.count(key("original_context_length"), { most: 2 ** 31 });
    const section = {
      rope_type: "longrope",
      long_factor: [...long],
      short_factor: [...short],
      attention_factor: metadata.positive(key("attn_factor"), 1),
    };
    return { rope_scaling: section, original_max_position_embeddings: original };
  }
  metadata.only(key("attn_factor"), [1], 1);
  // As in llama.cpp: a factor without a type is linear, a factor of 0 is none, and older files have another key.
  const type = metadata.only(key("type"), ["none", "linear"], "linear");
  const keys = [key("factor"), `${architecture}.rope.scale_linear`];
  const used = keys.find((name) => metadata.get(name) !== undefined);
  const factor = used === undefined || metadata.get(used) === 0 ? 1 : metadata.positive(used);
  const linear = type === "linear" && factor !== 1 ? { rope_type: "linear", factor } : undefined;
  const stored = factors(ropeFactorNames.llama3, rotary / 2);
  if (!stored) return linear ? { rope_scaling: linear } : {};
  if (linear)
    throw metadata.error(used!, `is ${factor} beside tensor ${ropeFactorNames.llama3}, expected one of the two`);
  const theta = readNumber(metadata, architecture, "rope.freq_base") as number;
  return { rope_scaling: scalingOfFactors(stored, theta, source.file) };
}
