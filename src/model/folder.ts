// A Hugging Face model folder: config.json and safetensors, in one file or in shards with an index.
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";
import {
  checkModel,
  type ModelConfig,
  type ModelSource,
  type ModelSpec,
  type PlainDtype,
  type TensorEntry,
  type WeightDtype,
} from "../native/index.js";
import { bareNameError } from "./bare-name.js";
import { QuantizedTensors } from "./bitsandbytes.js";
import { type Classification, type ClassifierKeys, resolveClassifier } from "./classifier.js";
import { readConfig } from "./config.js";
import { extraTensors } from "./extra-tensors.js";
import type { FamilyNames } from "./families/index.js";
import { findGgufBase, openGguf } from "./gguf/index.js";
import { resolveHead } from "./head.js";
import type { SafetensorsTensor } from "./safetensors.js";
import { absentShards, findWeightFiles, readTensors, whyMissing } from "./shards.js";
import { familyOf, listLinears, modelSource, modelSpec, outsideLinears } from "./spec.js";
import type { Warn } from "./warn.js";

const DTYPES: Record<string, PlainDtype> = { F32: "f32", BF16: "bf16", F16: "f16" };

/** Formats that are not quantised. */
export const PLAIN: readonly WeightDtype[] = ["f32", "bf16", "f16"];

/** The engine's dtype for a safetensors one, undefined where the engine cannot read it. */
export function weightDtype(dtype: string): PlainDtype | undefined {
  return Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
}

/** Parts of the names of tensors outside of the layers: the module's, and a dot. */
const outside = (spec: ModelSpec) => {
  const { embedding, head, finalNorm, positions, tokenTypes, embeddingNorm } = spec;
  const parts = [finalNorm, positions, tokenTypes, embeddingNorm].map((part) => part?.weight);
  const tensors = [embedding, head, ...parts].flatMap((name) =>
    name ? [name.slice(0, name.lastIndexOf(".") + 1)] : [],
  );
  return [...tensors, ...outsideLinears(spec, "embeddingLinear", "finalLinear").map(({ module }) => `${module}.`)];
};

/** A family's names, with the modules of a classifier in place of the head. */
interface Names extends FamilyNames {
  outside: string[];
  /** Weights that are stored (in, out). */
  transposed: Set<string>;
}

function namesOf(config: ModelConfig, classifies: boolean): Names {
  const { names, classifier, transposed: all } = familyOf(config);
  const spec = modelSpec(config);
  const transposed = new Set(all ? listLinears({ spec }).map(({ name }) => `${name}.weight`) : []);
  if (!classifies || !classifier) return { ...names, outside: outside(spec), transposed };
  const layers = classifier(config, 1).layers.map(({ linear }) => `${linear.module}.`);
  return { ...names, outside: [...outside({ ...spec, head: spec.embedding }), ...layers], transposed };
}

/** TensorFlow's names of a LayerNorm, which older folders of BERT have. */
const OLD_NORM: Record<string, string> = { gamma: "weight", beta: "bias" };

const withNewName = (tensor: SafetensorsTensor, { inFiles = {} }: FamilyNames): SafetensorsTensor => {
  const begin = Object.keys(inFiles).find((each) => tensor.name.startsWith(each));
  const renamed = begin === undefined ? tensor.name : inFiles[begin]! + tensor.name.slice(begin.length);
  const name = renamed.replace(/(?<=LayerNorm\.)(gamma|beta)$/, (old) => OLD_NORM[old]!);
  return name === tensor.name ? tensor : { ...tensor, name };
};

/**
 * The tensors under a whole model's names: in a model without a head, the names lack a prefix. Of two tensors meant by one name,
 * the tensor that has that name counts.
 */
function withPrefix(tensors: SafetensorsTensor[], names: Names): SafetensorsTensor[] {
  const begins = [...names.outside, names.layers]
    .filter((name) => name.startsWith(names.base))
    .map((name) => name.slice(names.base.length));
  const isBare = (name: string) => begins.some((begin) => name.startsWith(begin));
  if (!tensors.some(({ name }) => isBare(name))) return tensors;
  const known = new Set(tensors.map(({ name }) => name));
  return tensors.flatMap((tensor) => {
    if (!isBare(tensor.name)) return [tensor];
    const name = names.base + tensor.name;
    return known.has(name) ? [] : [{ ...tensor, name }];
  });
}

/** Whether a tensor may be one of the model's: files may hold any number of others. */
function mayBeUsed(names: Names, layers: number): (name: string) => boolean {
  const begins = names.outside;
  return (name) => {
    if (!name.startsWith(names.layers)) return begins.some((begin) => name.startsWith(begin));
    const layer = /^(\d+)\./.exec(name.slice(names.layers.length))?.[1];
    return layer !== undefined && Number(layer) < layers;
  };
}

/**
 * Reads a model folder or GGUF file; the weights themselves stay on the disk.
 * @param classification a classifier is made of it, in place of its head
 * @throws LowrankError whose message names the file, key or tensor that is wrong
 */
export function openModel(folder: string, warn: Warn = () => {}, classification?: Classification): ModelSource {
  const gguf = findGgufBase(folder);
  if (gguf !== undefined && classification) {
    throw new LowrankError(
      "E_ARCHITECTURE",
      `${folder}: a GGUF file cannot be the base of a classifier (--task seq-cls).`,
      folder,
    );
  }
  if (gguf !== undefined) return openChecked(openGguf(gguf));
  checkFolder(folder);
  const configFile = join(folder, "config.json");
  const { config: read, classifier } = readConfig(configFile, warn);
  const names = namesOf(read, classification !== undefined);
  if (names.head === "" && !classification) {
    const message = `${configFile}: model_type "${read.modelType}" is an encoder: it writes no text, but classifies texts (--task seq-cls).`;
    throw new LowrankError("E_ARCHITECTURE", message, "model_type");
  }
  const tensors: TensorEntry[] = [];
  const unreadable = new Map<string, unknown>();
  const files = findWeightFiles(folder);
  const stored = withPrefix(
    readTensors(folder, files).map((tensor) => withNewName(tensor, names)),
    names,
  );
  const isUsed = mayBeUsed(names, read.layers);
  const found = stored.filter(({ name }) => isUsed(name));
  const quantized = new QuantizedTensors(found);
  for (const tensor of found) {
    const { name, shape, file, begin, end } = tensor;
    const dtype = weightDtype(tensor.dtype);
    try {
      const stands = names.transposed.has(name) ? { transposed: true } : {};
      const plain = dtype && { name, dtype, shape, file, offset: begin, bytes: end - begin, ...stands };
      const entry = quantized.entry(tensor) ?? plain;
      if (entry) tensors.push(entry);
      else unreadable.set(name, unreadableDtype(tensor));
    } catch (error) {
      unreadable.set(name, error);
    }
  }
  const resolved = classification
    ? { config: { ...read, classifier: withLabels(read, tensors, classification, classifier(), configFile) }, tensors }
    : resolveHead(names, { config: read, tensors }, configFile, warn);
  const model = modelSource(folder, resolved.config, resolved.tensors);
  checkTensors(model, (error, name) => {
    const other = unreadable.get(name) ?? whyMissing(folder, files, [name, name.replace(names.base, "")]);
    return other ?? new LowrankError(error.code, error.message + hintOfNames(stored, name, names.head), name);
  });
  const [extra, ...more] = extraTensors(model);
  if (extra !== undefined) {
    const others = more.length > 0 ? ` and ${more.length} more` : "";
    warn(
      `${folder}: by ${configFile} the model has no ${extra}${others}: left out, as in transformers 5. The weights are of a model with another configuration.`,
    );
  }
  const absent = absentShards(files);
  if (absent.length > 0) {
    warn(
      `${join(folder, files.index!)} names shards that are not there, though the model does not need them: ${absent.join(", ")}`,
    );
  }
  return model;
}

/** The probable mistake where no tensor has a name, by the names of the other tensors; "" where they tell nothing. */
function hintOfNames(found: SafetensorsTensor[], name: string, head: string): string {
  const module = name.replace(/\.\w+$/, "");
  const other = found.find((each) => each.name.endsWith(`.${name}`) || each.name.startsWith(`${module}.base_layer.`));
  if (other) {
    return ` The files have ${other.name}: the model was saved within a wrapper (torch.compile, DDP, PEFT). Save the model itself.`;
  }
  if (name !== head) return "";
  return " Or it was saved without a head; where the head is the embedding, set tie_word_embeddings to true.";
}

/** The classifier's numbers, where the head may be among the tensors. */
function withLabels(
  config: ModelConfig,
  tensors: TensorEntry[],
  asked: Classification,
  own: ClassifierKeys,
  file: string,
) {
  const last = familyOf(config).classifier?.(config, 1).layers.at(-1);
  const stored = tensors.find(({ name }) => name === `${last?.linear.module}.weight`)?.shape[0];
  return resolveClassifier(asked, own, stored, file);
}

function checkFolder(folder: string): void {
  let isFolder: boolean;
  try {
    isFolder = statSync(folder).isDirectory();
  } catch (error) {
    throw bareNameError(folder, "Model folder") ?? readError(error, folder, "Model folder");
  }
  if (isFolder && (existsSync(join(folder, "config.json")) || !existsSync(join(folder, "adapter_config.json")))) return;
  if (isFolder) {
    const message = `${folder} holds an adapter, not a model: name it with --adapter, and its base with --base_model.`;
    throw new LowrankError("E_FILE", message, folder);
  }
  const expected = "expected a model folder with config.json and model.safetensors, or a .gguf file";
  throw new LowrankError("E_FILE", `${folder} is a file, ${expected}.`, folder);
}

function openChecked(model: ModelSource): ModelSource {
  checkTensors(model, (error) => error);
  return model;
}

function unreadableDtype({ file, name, dtype }: SafetensorsTensor): LowrankError {
  return new LowrankError(
    "E_TENSOR_DTYPE",
    `${file}: tensor ${name} is stored as ${dtype}, expected ${Object.keys(DTYPES).join(", ")}. ` +
      "Use the folder with the unquantised weights, or one that bitsandbytes quantised.",
    name,
  );
}

/**
 * The native list of needed tensors decides. A fault of a tensor does not matter as long as the model does not use the
 * tensor.
 * @param explain the error of a missing tensor in full
 */
function checkTensors(model: ModelSource, explain: (error: LowrankError, name: string) => unknown): void {
  try {
    checkModel(model);
  } catch (error) {
    if (!(error instanceof LowrankError) || error.code !== "E_TENSOR_MISSING" || error.where === undefined) throw error;
    throw explain(error, error.where);
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
