// A Hugging Face model folder: config.json and safetensors, in one file or in shards with an index.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { listLinears, type ModelSource, type PlainDtype, type TensorEntry, type WeightDtype } from "../engine.js";
import { LowrankError } from "../errors.js";
import { readError } from "../system-errors.js";
import { type FileTensor, QuantizedTensors } from "./bitsandbytes.js";
import { readConfig } from "./config.js";
import { findGgufBase, openGguf } from "./gguf/index.js";
import { isObject, kindOf, readJsonObject } from "./json.js";
import { readSafetensorsHeader } from "./safetensors.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

const DTYPES: Record<string, PlainDtype> = { F32: "f32", BF16: "bf16", F16: "f16" };

/** Formats that are not quantised. */
export const PLAIN: readonly WeightDtype[] = ["f32", "bf16", "f16"];

/** The engine's dtype for a safetensors one, undefined where the engine cannot read it. */
export function weightDtype(dtype: string): PlainDtype | undefined {
  return Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
}

/** Weight files of a folder and, in shards, which of them holds each tensor. */
export interface WeightFiles {
  /** Names within the folder. */
  files: string[];
  /** Name of the index, null where there is one file. */
  index: string | null;
  /** Shard of each tensor, null where there is one file. */
  weightMap: Map<string, string> | null;
}

/** @throws LowrankError E_FILE_MISSING, E_JSON, E_INDEX */
export function findWeightFiles(folder: string): WeightFiles {
  if (existsSync(join(folder, SINGLE))) return { files: [SINGLE], index: null, weightMap: null };
  if (existsSync(join(folder, INDEX))) return readIndex(folder);
  const other = readdirSync(folder).filter((name) => /\.(bin|pt|pth|gguf|safetensors)$/.test(name));
  throw new LowrankError(
    "E_FILE_MISSING",
    `Model folder ${folder} has neither ${SINGLE} nor ${INDEX}. ` +
      (other.length > 0 ? `It has ${other.join(", ")}; save the model as ${SINGLE}.` : "Download its weights."),
    folder,
  );
}

function readIndex(folder: string): WeightFiles {
  const file = join(folder, INDEX);
  const { weight_map: map } = readJsonObject(file);
  if (!isObject(map))
    throw new LowrankError("E_INDEX", `${file}: weight_map is ${kindOf(map)}, expected an object.`, file);
  const weightMap = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // A shard is a file of this folder: an index must not lead anywhere else.
    if (typeof shard !== "string" || !/^[^/\\]+\.safetensors$/.test(shard)) {
      throw new LowrankError(
        "E_INDEX",
        `${file}: the shard of ${name} is ${kindOf(shard)}, expected the name of a .safetensors file of the folder.`,
        name,
      );
    }
    weightMap.set(name, shard);
  }
  const files = [...new Set(weightMap.values())].sort();
  const missing = files.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) {
    throw new LowrankError(
      "E_FILE_MISSING",
      `Model folder ${folder} lacks ${missing.length} of ${files.length} weight files that ${INDEX} names: ` +
        `${missing.join(", ")}. Download them.`,
      join(folder, missing[0]!),
    );
  }
  return { files, index: INDEX, weightMap };
}

/** Tensors of every file; those of a shard that the index places elsewhere are left out. */
function readTensors(folder: string, { files, weightMap }: WeightFiles): FileTensor[] {
  const tensors = files.flatMap((name) =>
    readSafetensorsHeader(join(folder, name))
      .tensors.filter((tensor) => weightMap === null || weightMap.get(tensor.name) === name)
      .map((tensor) => ({ ...tensor, file: join(folder, name) })),
  );
  const found = new Set(tensors.map(({ name }) => name));
  for (const [name, shard] of weightMap ?? []) {
    if (found.has(name)) continue;
    throw new LowrankError(
      "E_INDEX",
      `${join(folder, INDEX)} says that ${shard} holds tensor ${name}, but it does not. ` +
        "Index and shards are of different models, or a download is old; download the folder again.",
      name,
    );
  }
  return tensors;
}

/**
 * Reads a model folder or GGUF file; the weights themselves stay on the disk.
 * @throws LowrankError whose message names the file, key or tensor that is wrong
 */
export function openModel(folder: string): ModelSource {
  const gguf = findGgufBase(folder);
  if (gguf !== undefined) return openChecked(openGguf(gguf));
  checkFolder(folder);
  const config = readConfig(join(folder, "config.json"));
  const tensors: TensorEntry[] = [];
  const unreadable = new Map<string, unknown>();
  const found = readTensors(folder, findWeightFiles(folder));
  const quantized = new QuantizedTensors(found);
  for (const tensor of found) {
    const { name, shape, file, begin, end } = tensor;
    const dtype = weightDtype(tensor.dtype);
    try {
      const plain = dtype && { name, dtype, shape, file, offset: begin, bytes: end - begin };
      const entry = plain ?? quantized.entry(tensor);
      if (entry) tensors.push(entry);
      else unreadable.set(name, unreadableDtype(tensor));
    } catch (error) {
      unreadable.set(name, error);
    }
  }
  const model = { folder, config, tensors };
  checkTensors(model, unreadable);
  return model;
}

function checkFolder(folder: string): void {
  let isFolder: boolean;
  try {
    isFolder = statSync(folder).isDirectory();
  } catch (error) {
    throw readError(error, folder, "Model folder");
  }
  if (isFolder) return;
  const expected = `expected a model folder with config.json and ${SINGLE}, or a .gguf file`;
  throw new LowrankError("E_FILE", `${folder} is a file, ${expected}.`, folder);
}

function openChecked(model: ModelSource): ModelSource {
  checkTensors(model, new Map());
  return model;
}

function unreadableDtype({ file, name, dtype }: FileTensor): LowrankError {
  return new LowrankError(
    "E_TENSOR_DTYPE",
    `${file}: tensor ${name} is stored as ${dtype}, expected ${Object.keys(DTYPES).join(", ")}. ` +
      "Use the folder with the unquantised weights, or one that bitsandbytes quantised.",
    name,
  );
}

/**
 * The native list of needed tensors decides; what is wrong with a tensor does not matter as long as the model does not use
 * it.
 * @param unreadable the errors of tensors that cannot be read
 */
function checkTensors(model: ModelSource, unreadable: Map<string, unknown>): void {
  try {
    listLinears(model);
  } catch (error) {
    const name = error instanceof LowrankError && error.code === "E_TENSOR_MISSING" ? error.where : undefined;
    throw (name !== undefined && unreadable.get(name)) || error;
  }
}

/** The dtype that most of the model's elements have once it is loaded. */
export function modelDtype(model: ModelSource): WeightDtype {
  const elements = new Map<WeightDtype, number>();
  for (const { dtype, shape, quantize } of model.tensors) {
    const loaded = quantize?.format ?? dtype;
    elements.set(loaded, (elements.get(loaded) ?? 0) + shape.reduce((product, n) => product * n, 1));
  }
  return [...elements].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}
