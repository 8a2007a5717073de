import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AdapterTensors, Batch, Sequence } from "../../src/native/index.js";

/** Ragged token sequences; the first `prompt_tokens` of each are read but not trained on. */
export interface GoldenBatch {
  sequences: number[][];
  prompt_tokens: number[];
}

export interface TraceRow {
  step: number;
  loss: number;
  grad_norm: number;
  learning_rate: number;
  tokens: number;
}

/** reference.json as scripts/goldens/make.py writes it. */
export interface Reference {
  about: string;
  /** Of peft's print_trainable_parameters; goldens made before it was kept have none. */
  parameters?: { trainable: number; all: number };
  batch: GoldenBatch;
  supervised_tokens: number;
  loss: number;
  training: {
    learning_rate: number;
    weight_decay: number;
    loraplus_lr_ratio?: number;
    warmup_steps: number;
    beta1: number;
    beta2: number;
    epsilon: number;
    max_steps: number;
    max_grad_norm: number;
    gradient_accumulation_steps: number;
    micro_batches: GoldenBatch[];
    trace: TraceRow[];
  };
  /** Most likely continuation of a prompt with the final adapter. */
  greedy: { prompt: number[]; tokens: number[] };
}

export const goldensFolder = new URL("../goldens/", import.meta.url).pathname;

/** Names of the committed golden models. */
export function goldenNames(): string[] {
  return readdirSync(goldensFolder).filter((name) => existsSync(join(goldensFolder, name, "reference.json")));
}

export function readReference(name: string): Reference {
  return JSON.parse(readFileSync(join(goldensFolder, name, "reference.json"), "utf8"));
}

/** Every tensor of an f32 safetensors file; on purpose not the reader under test. */
export function readTensors(file: string): Map<string, { shape: number[]; data: Float32Array }> {
  const bytes = readFileSync(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes));
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    header,
  )) {
    if (name === "__metadata__") continue;
    if (entry.dtype !== "F32") throw new Error(`${file}: ${name} is ${entry.dtype}, expected F32`);
    const [begin, end] = entry.data_offsets.map((offset) => 8 + headerBytes + offset) as [number, number];
    tensors.set(name, {
      shape: entry.shape,
      data: new Float32Array(Uint8Array.from(bytes.subarray(begin, end)).buffer),
    });
  }
  return tensors;
}

/** The sequences, with nothing to be learned in their prompts. */
export function toBatch({ sequences, prompt_tokens }: GoldenBatch): Batch {
  return {
    sequences: sequences.map((sequence, s) => ({
      inputIds: Int32Array.from(sequence),
      lossMask: Uint8Array.from(sequence, (_, i) => Number(i >= (prompt_tokens[s] ?? 0))),
    })),
  };
}

export function supervisedTokens(batch: Batch): number {
  const of = ({ inputIds, lossMask }: Sequence) => inputIds.filter((_, i) => i > 0 && lossMask?.[i] !== 0).length;
  return batch.sequences.reduce((sum, sequence) => sum + of(sequence), 0);
}

/** Largest |a - b|, and the largest |b| to measure it by. */
export function largestDifference(a: Float32Array, b: Float32Array): { difference: number; scale: number } {
  if (a.length !== b.length) throw new Error(`${a.length} numbers, expected ${b.length}`);
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d <= difference)) difference = d; // also NaN
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return { difference, scale };
}

export function cosine(a: Float32Array, b: Float32Array): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < b.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/** Tensor names in one order, for comparing sets of names. */
export function names(tensors: AdapterTensors | Map<string, unknown>): string[] {
  return [...tensors.keys()].sort();
}
