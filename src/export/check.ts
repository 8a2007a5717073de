// Whether an exported file moves the logits as the adapter does.
import { closeSync, readSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { openRegular } from "../base/system-errors.js";
import { readAdapter } from "../checkpoint/index.js";
import { openModel, orderRows, readGgufHeader, TensorNames, tensorType, widen } from "../model/index.js";
import {
  type AdapterSpec,
  type AdapterTensors,
  BASE,
  Engine,
  type ModelSource,
  type PlainDtype,
} from "../native/index.js";

/** Tokens that the logits are compared after. */
const TOKENS = 24;
/** Share of the adapter's effect that an exported adapter may be off by: f16 has 11 bits. */
const TOLERANCE = 2e-2;

export interface Difference {
  /** The largest change of a logit by the adapter. */
  moved: number;
  /** The largest difference of a logit between the exported file and base with adapter. */
  off: number;
}

export interface Checked {
  /** The base, with weights in any format. */
  model: ModelSource;
  /** Folder of the adapter. */
  adapter: string;
  threads: number;
}

interface Loaded {
  spec: AdapterSpec;
  tensors: AdapterTensors;
}

/** Logits after tokens from all over the vocabulary: of the base, and with the adapter where there is one. */
async function logitsOf(model: ModelSource, adapter: Loaded | null, threads: number): Promise<Float32Array[]> {
  const shape = { precision: "fp32", threads, maxTokens: TOKENS, maxSequence: TOKENS, training: false } as const;
  await using engine = await Engine.create(model, adapter?.spec ?? null, shape);
  const inputIds = Int32Array.from({ length: TOKENS }, (_, i) => (1 + 7919 * i) % model.config.vocabSize);
  const batch = { sequences: [{ inputIds }] };
  const base = await engine.logits(batch, BASE);
  if (!adapter) return [base];
  await engine.setAdapter(adapter.tensors);
  return [base, await engine.logits(batch)];
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

/** A file's adapter, scaled as llama.cpp scales it: one alpha over the rank of each pair. */
function readExported(file: string, model: ModelSource, spec: AdapterSpec): Loaded {
  const header = readGgufHeader(file);
  const stored = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors: AdapterTensors = new Map();
  const names = new TensorNames(model.config, model.spec);
  const descriptor = openRegular(file, "Adapter");
  try {
    for (const module of spec.targets) {
      const { name, order } = names.placeOf(`${module}.weight`)!;
      for (const side of ["A", "B"] as const) {
        const { shape, offset, bytes, type } = stored.get(`${name}.lora_${side.toLowerCase()}`)!;
        const into = new Uint8Array(bytes!);
        readSync(descriptor, into, 0, into.length, offset);
        const values = widen(into, tensorType(type).name as PlainDtype);
        const data = side === "B" ? orderRows(values, shape[1]!, order, true) : values;
        tensors.set(`${module}.lora_${side}.weight`, { shape, data });
      }
    }
  } finally {
    closeSync(descriptor);
  }
  const alpha = header.metadata.get("adapter.lora.alpha") as number;
  return { spec: { ...spec, alpha, useRslora: false, alphas: undefined }, tensors };
}

function fault(file: string, { moved, off }: Difference): LowrankError {
  const message = `${file}: its logits are off by ${off}, where the adapter moves them by ${moved}: this is a fault of lowrank.`;
  return new LowrankError("E_EXPORT", message, file);
}

/** @throws LowrankError E_EXPORT where the file is off by more than its numbers' rounding */
export async function checkExportedAdapter(file: string, { model, adapter, threads }: Checked): Promise<Difference> {
  const ours = readAdapter(adapter, model);
  const [base, wanted] = await logitsOf(model, ours, threads);
  const [, found] = await logitsOf(model, readExported(file, model, ours.spec), threads);
  const difference = { moved: largestDifference(base!, wanted!), off: largestDifference(wanted!, found!) };
  if (difference.off > TOLERANCE * difference.moved + 1e-5) throw fault(file, difference);
  return difference;
}

/** The file is read again as a model. */
export async function checkExportedModel(file: string, { model, adapter, threads }: Checked): Promise<Difference> {
  const [base, wanted] = await logitsOf(model, readAdapter(adapter, model), threads);
  const [found] = await logitsOf(openModel(file), null, threads);
  return { moved: largestDifference(base!, wanted!), off: largestDifference(wanted!, found!) };
}

export interface MergedDifference extends Difference {
  /**
   * The largest difference of a logit between the adapter on the base as it is stored and on the base that it was trained on, which is
   * quantised; null where that is the same base.
   */
  stored: number | null;
}

/**
 * The merged folder is read again.
 * @param onto what the adapter was merged onto @param checked with the base that the adapter was trained on
 * @throws LowrankError E_EXPORT where the folder's numbers are f32, and it is off by more than their rounding
 */
export async function checkMergedModel(
  folder: string,
  onto: "stored" | "trained",
  { model, adapter, threads }: Checked,
): Promise<MergedDifference> {
  const plain = { ...model, tensors: model.tensors.map(({ quantize: _, outlierThreshold: __, ...tensor }) => tensor) };
  const isQuantized = model.tensors.some(({ quantize }) => quantize);
  const loaded = readAdapter(adapter, model);
  const [base, trained] = await logitsOf(model, loaded, threads);
  const stored = isQuantized ? (await logitsOf(plain, loaded, threads))[1]! : null;
  const merged = openModel(folder);
  const [found] = await logitsOf(merged, null, threads);
  const difference = {
    moved: largestDifference(base!, trained!),
    off: largestDifference((onto === "stored" && stored) || trained!, found!),
    stored: stored && largestDifference(stored, trained!),
  };
  const isExact =
    merged.tensors.every(({ dtype }) => dtype === "f32") &&
    !model.tensors.some(({ outlierThreshold }) => outlierThreshold);
  if (isExact && difference.off > TOLERANCE * difference.moved + 1e-5) throw fault(folder, difference);
  return difference;
}
