// Adapters in PEFT's layout: adapter_model.safetensors, adapter_config.json and a model card.
import { closeSync, existsSync, readSync } from "node:fs";
import { join, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { kindOf, readJsonObject } from "../base/json.js";
import { openRegular, readError } from "../base/system-errors.js";
import type { ChatTemplates, Tokenizer } from "../data/index.js";
import {
  matchTargets,
  type ResolvedTargets,
  readSafetensorsHeader,
  type SafetensorsTensor,
  targetSpec,
  tokenRows,
  weightDtype,
  wholeModules,
  widen,
  writeSafetensors,
} from "../model/index.js";
import {
  type AdapterSpec,
  type AdapterTensors,
  adapterTensors,
  type ClassifierConfig,
  type ModelOrigin,
  type ModelSource,
} from "../native/index.js";
import {
  type AdapterConfig,
  adapterConfigJson,
  isClassifierConfig,
  type NamedBase,
  parseAdapterConfig,
} from "./adapter-config.js";
import { copyInto, replaceFiles, sortedJson, writeFolder, writeTemplates, writeTextFile } from "./files.js";
import { writeLabels } from "./labels.js";
import { type CardRun, modelCard } from "./model-card.js";
import { RUN_STATE } from "./run-state.js";
import { TRAINER_STATE } from "./state.js";

export const WEIGHTS = "adapter_model.safetensors";
export const CONFIG = "adapter_config.json";
/** The prefix that PEFT puts before a module's name in the file. The engine's names do not have it. */
export const PREFIX = "base_model.model.";

export interface LoadedAdapter {
  spec: AdapterSpec;
  /** Under the engine's names, widened to f32. */
  tensors: AdapterTensors;
  /** adapter_config.json as it stands. */
  config: Record<string, unknown>;
  targets: ResolvedTargets;
}

/**
 * Reads an adapter for this model.
 * @throws LowrankError where it is not plain LoRA, belongs to another model or is damaged
 */
export function readAdapter(folder: string, model: ModelSource): LoadedAdapter {
  const configFile = join(folder, CONFIG);
  const config = readJsonObject(configFile, "Adapter configuration");
  const parsed = parseAdapterConfig(config, configFile);
  const { targetModules, rules, modulesToSave, tokenIndices, ensureWeightTying, ...numbers } = parsed;
  checkTask(config, configFile, model);
  const targets = matchTargets(model, targetModules, `${configFile}: target_modules`, rules);
  const whole = wholeModules(model, modulesToSave, `${configFile}: modules_to_save`);
  if (whole.length > 0 && ensureWeightTying && model.spec.tiedHead) {
    const message = `${configFile}: ensure_weight_tying with modules_to_save is not supported where the head is the embedding: the two train apart.`;
    throw new LowrankError("E_ADAPTER_UNSUPPORTED", message, "ensure_weight_tying");
  }
  const tokens = tokenRows(model, tokenIndices, whole, `${configFile}: trainable_token_indices`);
  const spec: AdapterSpec = { ...numbers, ...targetSpec(targets), whole, tokens, seed: 0 };
  return { spec, tensors: readTensors(findWeights(folder), adapterTensors(model, spec)), config, targets };
}

/** @throws LowrankError E_ADAPTER where a classifier's adapter is put on another model, or the other way round */
function checkTask(config: Record<string, unknown>, file: string, { spec }: ModelSource): void {
  const classifies = isClassifierConfig(config);
  if (classifies === (spec.classifier !== undefined)) return;
  const message = classifies
    ? "the adapter is a classifier's (task_type SEQ_CLS): use lowrank classify, or --task seq-cls to train it further"
    : "the adapter is of a language model, not a classifier's (task_type SEQ_CLS)";
  throw new LowrankError("E_ADAPTER", `${file}: ${message}.`, "task_type");
}

export function findWeights(folder: string): string {
  const file = join(folder, WEIGHTS);
  if (existsSync(file)) return file;
  const hint = existsSync(join(folder, "adapter_model.bin"))
    ? "It has adapter_model.bin; save the adapter as safetensors."
    : "The folder is incomplete.";
  throw new LowrankError("E_FILE_MISSING", `Adapter folder ${folder} has no ${WEIGHTS}. ${hint}`, file);
}

function readTensors(file: string, expected: Map<string, { shape: number[] }>): AdapterTensors {
  const fail = (name: string, message: string) =>
    new LowrankError("E_ADAPTER", `${file}: tensor ${name} ${message}.`, name);
  const found = new Map<string, SafetensorsTensor>();
  for (const tensor of readSafetensorsHeader(file).tensors) {
    const name = tensor.name.startsWith(PREFIX) ? tensor.name.slice(PREFIX.length) : tensor.name;
    if (!expected.has(name)) throw fail(tensor.name, strangerReason(tensor.name));
    found.set(name, tensor);
  }
  return withTensors(file, (read) => {
    const tensors: AdapterTensors = new Map();
    for (const [name, { shape }] of expected) {
      const tensor = found.get(name);
      if (!tensor) throw fail(PREFIX + name, `[${shape.join(", ")}] is missing, although ${CONFIG} names its module`);
      const sameShape = String(tensor.shape) === String(shape);
      if (!sameShape) {
        const shapes = `has shape [${tensor.shape.join(", ")}], expected [${shape.join(", ")}]`;
        throw fail(tensor.name, `${shapes}: the adapter belongs to another base model, or its r is another`);
      }
      tensors.set(name, { shape, data: read(tensor) });
    }
    return tensors;
  });
}

/** A product with 0 is NaN for NaN and infinity alone: several times faster than a look at each number. */
function allFinite(data: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]! * 0;
  return sum === 0;
}

/** Reads tensors of an adapter's file, widened to f32. @throws LowrankError E_ADAPTER for another dtype, NaN and infinity */
export function withTensors<T>(file: string, use: (read: (tensor: SafetensorsTensor) => Float32Array) => T): T {
  const fail = (name: string, message: string) =>
    new LowrankError("E_ADAPTER", `${file}: tensor ${name} ${message}.`, name);
  let descriptor: number | undefined;
  try {
    const opened = openRegular(file, "Adapter");
    descriptor = opened;
    return use((tensor) => {
      const dtype = weightDtype(tensor.dtype);
      if (!dtype) throw fail(tensor.name, `is stored as ${tensor.dtype}, expected F32, BF16 or F16`);
      const bytes = new Uint8Array(tensor.end - tensor.begin);
      readSync(opened, bytes, 0, bytes.length, tensor.begin);
      const data = widen(bytes, dtype);
      if (!allFinite(data)) {
        throw fail(tensor.name, "holds NaN or infinity: its training had diverged, or the file is damaged");
      }
      return data;
    });
  } catch (error) {
    throw readError(error, file, "Adapter");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Why a tensor does not belong to a plain LoRA adapter of this model's linears. */
function strangerReason(name: string): string {
  if (name.includes("lora_embedding_")) return "adapts an embedding, which is not supported";
  if (name.endsWith(".lora_A.bias")) return "is a bias of A, which is not supported";
  if (/\.lora_[AB]\.|\.lora_magnitude_vector/.test(name)) {
    return "belongs to no module that target_modules names and the base model has: the adapter is of another base model, or adapts more than linears";
  }
  if (name.includes(".token_adapter.")) return "holds rows of tokens that trainable_token_indices does not name";
  return "is a whole weight that modules_to_save does not name";
}

export interface AdapterToWrite {
  tensors: AdapterTensors;
  spec: AdapterSpec;
  targets: ResolvedTargets;
  /** Folder or file of the base. */
  baseModel: string;
  /** Of a classifier. */
  classifier?: ClassifierConfig | undefined;
  /** The repository of the hub that the base is of: named in place of the folder. */
  origin?: ModelOrigin | undefined;
  /** For the model card: how it was trained. */
  run?: CardRun;
  /** Whose files to write beside it. */
  tokenizer?: Tokenizer;
  /** Chat templates in the place of the tokenizer's. */
  templates?: ChatTemplates | undefined;
}

/**
 * Writes an adapter that PEFT loads unchanged; the folder is made where there is none. An adapter that stood there
 * before stays whole until the new one is.
 * @param writeMore writes other files into the folder that it is given, which take their places with the adapter's
 * @throws LowrankError E_WRITE
 */
export async function writeAdapter(
  folder: string,
  adapter: AdapterToWrite,
  writeMore?: (temporary: string) => Promise<void>,
): Promise<void> {
  await replaceFiles(folder, WEIGHTS, async (temporary) => {
    await writeAdapterFiles(temporary, adapter);
    await writeMore?.(temporary);
  });
}

/** OUTPUT/unfinished-adapter: the adapter of a run that could save nothing else. It is no result, and is in no run's way. */
export const unfinishedAdapter = (outputDir: string) => join(outputDir, "unfinished-adapter");

/** Only the weights and adapter_config.json, for a disk that has no room for more: whole, or not there. @throws LowrankError E_WRITE */
export async function writeBareAdapter(folder: string, adapter: AdapterToWrite): Promise<void> {
  await writeFolder(folder, (temporary) => writeWeights(temporary, adapter));
}

/** Whether a folder holds the result of a run that ended without a checkpoint: the states of its end lie beside the adapter. */
export function holdsFinishedRun(folder: string): boolean {
  return [WEIGHTS, RUN_STATE, TRAINER_STATE].every((name) => existsSync(join(folder, name)));
}

/** The adapter's files, into a folder that is being made. @throws LowrankError E_WRITE */
export async function writeAdapterFiles(folder: string, adapter: AdapterToWrite): Promise<void> {
  const { spec, targets, baseModel, origin, run, tokenizer, templates, classifier } = adapter;
  await writeWeights(folder, adapter);
  await writeTextFile(
    join(folder, "README.md"),
    modelCard({ spec, targets, base: resolve(baseModel), origin, run, labels: classifier?.labels.length }),
  );
  if (tokenizer) await copyInto(folder, tokenizer.files);
  if (templates) await writeTemplates(folder, templates);
}

/** The files that an adapter cannot do without. */
async function writeWeights(
  folder: string,
  { tensors, spec, targets, baseModel, origin, classifier }: AdapterToWrite,
): Promise<void> {
  const entries = [...tensors].map(([name, { shape, data }]) => ({
    name: PREFIX + name,
    dtype: "F32",
    shape,
    bytes: data.byteLength,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
  // Whoever opens the adapter does so from another folder.
  const base = origin ? { named: origin.name, revision: origin.revision } : { named: resolve(baseModel) };
  await writeSafetensors(join(folder, WEIGHTS), entries, { format: "pt" });
  const config = adapterConfigJson(spec, targets, base, classifier !== undefined);
  await writeTextFile(join(folder, CONFIG), sortedJson(config));
  if (classifier) await writeLabels(folder, classifier);
}

/** The contents of adapter_config.json, and its file. */
export interface AdapterAbout extends AdapterConfig {
  base: string;
  tensors: number;
  parameters: number;
  /** Dtypes as the file spells them. */
  dtypes: string[];
}

/** An adapter without its base. @throws LowrankError where it is not plain LoRA or damaged */
export function aboutAdapter(folder: string): AdapterAbout {
  const { tensors } = readSafetensorsHeader(findWeights(folder));
  const configFile = join(folder, CONFIG);
  const config = parseAdapterConfig(readJsonObject(configFile, "Adapter configuration"), configFile);
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].sort();
  return { ...config, base: namedBase(folder).named, tensors: tensors.length, parameters, dtypes };
}

/** Whether a folder holds the adapter of a classifier. @throws LowrankError E_FILE_MISSING, E_JSON */
export function isClassifierAdapter(folder: string): boolean {
  return isClassifierConfig(readJsonObject(join(folder, CONFIG), "Adapter configuration"));
}

/** Whether a folder holds an adapter, and no model. */
export function isAdapterFolder(folder: string): boolean {
  return existsSync(join(folder, CONFIG)) && !existsSync(join(folder, "config.json"));
}

/** The base that an adapter names, as adapter_config.json spells it. @throws LowrankError E_CONFIG_VALUE */
export function namedBase(folder: string): NamedBase {
  const file = join(folder, CONFIG);
  const { base_model_name_or_path: named, revision } = readJsonObject(file, "Adapter configuration");
  if (typeof named === "string" && named !== "") {
    return { named, revision: typeof revision === "string" && revision !== "" ? revision : undefined };
  }
  const message = `${file}: base_model_name_or_path is ${kindOf(named)}, expected the base's folder or name. Name the base with --base_model.`;
  throw new LowrankError("E_CONFIG_VALUE", message, "base_model_name_or_path");
}
