// The configuration of a model as a GGUF file's metadata.
import { LowrankError } from "../../base/errors.js";
import type { ModelConfig, ModelSpec } from "../../native/index.js";
import type { LlamaConfig } from "../families/llama.js";
import { modelSpec } from "../spec.js";
import { readGgufConfig } from "./config.js";
import { Metadata } from "./metadata.js";
import { ggufNames } from "./names.js";
import { writeNumber } from "./numbers.js";
import { ropeFactors } from "./rope-factors.js";
import type { MetadataValue } from "./write.js";

function refuse(what: string): LowrankError {
  const way = "Write the merged model with lowrank merge, and convert it with llama.cpp's convert_hf_to_gguf.py.";
  return new LowrankError("E_EXPORT", `${what} is not written as GGUF yet. ${way}`, "config.json");
}

function numbersOf(config: LlamaConfig): Record<string, MetadataValue> {
  const { architecture, numbers, dividesLogits } = ggufNames(config);
  const { ropeScaling: scaling } = config;
  const own: Record<string, MetadataValue | undefined> = { vocab_size: config.vocabSize };
  const isWhole = !Object.values(numbers).includes("rope.dimension_count");
  for (const number of Object.values(numbers)) {
    if (number === "rope.freq_base" && isWhole) own["rope.dimension_count"] = config.headDim;
    own[number] = writeNumber(number, config);
    if (number === "attention.key_length") own["attention.value_length"] = config.headDim;
  }
  if (dividesLogits) own.logit_scale = { f32: 1 / config.logitScale! };
  if (scaling?.type === "linear") {
    own["rope.scaling.type"] = "linear";
    own["rope.scaling.factor"] = { f32: scaling.factor! };
  }
  if (scaling?.type === "longrope") {
    own["rope.scaling.attn_factor"] = { f32: scaling.attentionFactor! };
    own["rope.scaling.original_context_length"] = scaling.originalMaxPositions!;
  }
  const given = Object.entries(own).filter((entry): entry is [string, MetadataValue] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [`${architecture}.${key}`, value]));
}

/** Numbers are stored as f32. */
const TOLERANCE = 1e-6;

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b) <= TOLERANCE * Math.abs(a);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

/** @param found the description that the file would be read as */
function checkSame(wanted: ModelSpec, found: ModelSpec, { ropeScaling }: LlamaConfig): void {
  if (isSame(wanted, found)) return;
  const [kinds, others] = [wanted, found].map(({ block }) => block.attention.kinds);
  const windows = [kinds, others].map((list) => Math.max(...list!.map(({ window }) => window)));
  if (!isSame(windows[0], windows[1])) throw refuse("Attention within a window");
  if (!isSame(kinds, others) && ropeScaling) throw refuse(`Rope scaling ${ropeScaling.type}`);
  const biases = [wanted, found].map(({ block: { attention, mlp } }) =>
    [...attention.inputs, attention.out, ...mlp.inputs, mlp.down].map(({ bias }) => bias ?? false),
  );
  if (!isSame(biases[0], biases[1])) throw refuse("A bias of this family");
  const part = (Object.keys(wanted) as (keyof ModelSpec)[]).find((key) => !isSame(wanted[key], found[key]));
  throw refuse(`A setting of this model (${part === "block" ? differing(wanted.block, found.block) : part})`);
}

/** The part of a block that differs. */
function differing(wanted: object, found: object, path = "block"): string {
  for (const [key, value] of Object.entries(wanted)) {
    const other = (found as Record<string, unknown>)[key];
    if (isSame(value, other)) continue;
    const isInner = typeof value === "object" && typeof other === "object" && value !== null && other !== null;
    return isInner ? differing(value, other, `${path}.${key}`) : `${path}.${key}`;
  }
  return path;
}

/**
 * The numbers, and the tensors of rotary factors.
 * @param has whether the file will have a tensor
 * @throws LowrankError E_EXPORT where the file would be read as another model
 */
export function metadataOf(
  config: ModelConfig,
  has: (tensor: string) => boolean,
): { metadata: Record<string, MetadataValue>; factors: Record<string, Float32Array> } {
  const gguf = ggufNames(config);
  const own = config as LlamaConfig;
  const metadata = numbersOf(own);
  const factors = ropeFactors(own.ropeScaling ?? null, own.rotaryDim ?? own.headDim, own.ropeTheta);
  const values = Object.entries(metadata).map(([key, value]): [string, number | boolean | string] => {
    return [key, typeof value === "object" ? Math.fround((value as { f32: number }).f32) : value];
  });
  const file = "config.json";
  const { config: found } = readGgufConfig({
    file,
    metadata: new Metadata(
      { file, metadata: new Map([["general.architecture", gguf.architecture], ...values]) },
      "E_EXPORT",
      "",
    ),
    vocabSize: config.vocabSize,
    has,
    factors: (name) => factors[name],
  });
  const stored = { ...own, ...(gguf.wholeNorms && { normOffset: 0 }), dropouts: undefined };
  checkSame(modelSpec(stored), modelSpec({ ...found, tieWordEmbeddings: config.tieWordEmbeddings }), own);
  return { metadata, factors };
}
