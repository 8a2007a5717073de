// The base model with an adapter merged into its weights, file by file as the base has them; of a folder that is quantised, in one file.
import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readJsonObject } from "../base/json.js";
import { TO_READ, writeError } from "../base/system-errors.js";
import { findTokenizerFiles, type StoredTemplates, type Tokenizer } from "../data/index.js";
import {
  findWeightFiles,
  isStoredTransposed,
  modelDtype,
  PLAIN,
  readSafetensorsHeader,
  safetensorsHeader,
  tokenTables,
  writeSafetensors,
} from "../model/index.js";
import type { Engine, ModelSource, PlainDtype, TensorEntry, TokenRows } from "../native/index.js";
import {
  checkModelOutput,
  copyInto,
  MODEL_CONFIGS,
  sortedJson,
  writeFolder,
  writeTemplates,
  writeTextFile,
} from "./files.js";
import { changedConfig } from "./model-config.js";
import { isPlain, readTensor, STORED_DTYPES } from "./quantize.js";
import { Unchanged } from "./unchanged.js";

const CHUNK_BYTES = 8 << 20;

/** A base and the adapter that is merged into it. */
export interface MergedParts {
  model: ModelSource;
  /** Full names of the modules that carry an adapter, or train whole. */
  modules: string[];
  /** Rows of single tokens that the adapter has. */
  tokens?: readonly TokenRows[] | undefined;
  /** Whether the adapter has a bias of each B. */
  biases?: boolean | undefined;
  /**
   * Whether the adapter is merged into the weights that products are computed with. What is quantised, in its folder or by the engine, is
   * decoded then, also where it has no adapter.
   */
  decodes?: boolean;
}

export interface MergeOptions extends MergedParts {
  engine: Engine;
  output: string;
  /** Whose files to write beside the weights, where they are not the base's own. */
  tokenizer?: Tokenizer;
  /** Chat templates in the place of the tokenizer's. */
  templates?: StoredTemplates | undefined;
  /** Replaces a merged model that stands there; a folder that holds anything else is refused all the same. */
  overwrite?: boolean;
  /** Tensors written so far, and all of them. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Writes the merged model in the dtypes and files of the base: the same names, headers and index, every tensor but the
 * merged ones byte for byte. The folder is complete or absent; one tensor at most is in memory. A quantised folder becomes one file, with
 * its linears in the dtype of its other tensors.
 * @throws LowrankError E_OUTPUT_EXISTS, E_QUANTIZED where a quantised base is not decoded or cannot be, E_MERGE where the base has no bias to merge one into, E_TENSOR_VALUE and E_NAN where a weight would not be a number, E_WRITE,
 * E_FILE_CHANGED
 */
export async function writeMerged(options: MergeOptions): Promise<void> {
  const { model, output, onProgress } = options;
  checkModelOutput(output, options.overwrite ?? false);
  checkMergeable(options);
  await options.engine.checkWeights();
  if (!isPlain(model)) return writeDecoded(options);
  const { files, index } = findWeightFiles(model.folder);
  const unchanged = new Unchanged(files.map((file) => join(model.folder, file)));
  const total = files.reduce((sum, file) => sum + readSafetensorsHeader(join(model.folder, file)).tensors.length, 0);
  let done = 0;
  const untied = untiedTable(model, options.modules);
  const merged = mergedPlaces(options, untied);
  const others = [...MODEL_CONFIGS, ...(index === null ? [] : [index])].map((name) => join(model.folder, name));
  await writeFolder(output, async (folder) => {
    await copyInto(
      folder,
      others.filter((path) => existsSync(path)),
    );
    await writeTokenizer(folder, options);
    for (const file of files) {
      const source = join(model.folder, file);
      const added = untied?.source === source ? untied : null;
      await copyMerged(source, join(folder, file), { merged, added }, options.engine, () =>
        onProgress?.(++done, total),
      );
      if (added) await writeUntied(folder, file, index, added);
    }
    unchanged.check();
  });
}

/**
 * Whether the adapter can be merged into the base, as far as both tell before a weight is computed.
 * @throws LowrankError E_QUANTIZED, E_MERGE
 */
export function checkMergeable(parts: MergedParts): void {
  if (!isPlain(parts.model)) checkDecodes(parts.model, parts.decodes ?? false);
  mergedTensors(parts);
}

async function writeTokenizer(folder: string, { model, tokenizer, templates }: MergeOptions): Promise<void> {
  await copyInto(folder, tokenizer?.files ?? findTokenizerFiles(model.folder));
  if (templates) await writeTemplates(folder, templates);
}

const placeOf = (file: string, offset: number) => `${offset} ${file}`;

type MergedBytes = (engine: Engine) => Promise<Uint8Array>;

/** A table that the base does not store on its own, as its head is its embedding. One of the two trains whole, so that both are written. */
interface Untied {
  /** The file that holds the other one, and where. */
  source: string;
  place: string;
  name: string;
  /** Null: it is as the other one was. */
  bytes: MergedBytes | null;
}

function untiedTable({ spec, tensors }: ModelSource, modules: string[]): Untied | null {
  const [embedding, head] = [spec.embedding, spec.head].map((name) => tensors.find((tensor) => tensor.name === name));
  const trains = (name: string) => modules.includes(moduleOf(name));
  if (!spec.tiedHead || !embedding || !(trains(spec.embedding) || trains(spec.head))) return null;
  const isOwn = head && placeOf(head.file, head.offset) !== placeOf(embedding.file, embedding.offset);
  if (isOwn) return null;
  const name = head ? spec.embedding : spec.head;
  const bytes: MergedBytes | null = trains(name) ? (engine) => engine.mergedWeight(moduleOf(name)) : null;
  const { file: source, offset } = embedding;
  return { source, place: placeOf(source, offset), name, bytes };
}

const moduleOf = (tensor: string) => tensor.slice(0, tensor.lastIndexOf("."));

/** The configuration of a merged model whose head is no longer its embedding, and the index of its shards. */
async function writeUntied(folder: string, file: string, index: string | null, { name }: Untied): Promise<void> {
  const config = join(folder, "config.json");
  await writeTextFile(config, changedConfig(config, { tie_word_embeddings: false }));
  if (index === null) return;
  const path = join(folder, index);
  const { weight_map, ...rest } = readJsonObject(path);
  await writeTextFile(path, sortedJson({ ...rest, weight_map: { ...(weight_map as object), [name]: file } }));
}

/** What replaces weights and biases, by the tensor's name. */
function mergedTensors({ model, modules, tokens, biases, decodes }: MergedParts): Map<string, MergedBytes> {
  const stored = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const merged = new Map<string, MergedBytes>();
  const dtypeOf = decodedDtype(model);
  const decoded = model.tensors.filter(({ quantize, dtype }) => decodes && (quantize || !PLAIN.includes(dtype)));
  for (const tensor of decoded) {
    const module = tensor.name.replace(/\.weight$/, "");
    merged.set(tensor.name, (engine) => engine.mergedWeight(module, 0, dtypeOf(tensor)));
  }
  const tables = [model.spec.embedding, model.spec.head].map(moduleOf);
  for (const module of tokenTables(model, tokens)) {
    if (!merged.has(`${module}.weight`)) merged.set(`${module}.weight`, (engine) => engine.mergedWeight(module));
  }
  for (const module of modules) {
    if (!merged.has(`${module}.weight`)) merged.set(`${module}.weight`, (engine) => engine.mergedWeight(module));
    const bias = stored.get(`${module}.bias`);
    if (tables.includes(module) ? !bias : !biases) continue;
    if (!bias) {
      const message = `${module} has no bias in ${model.folder}: an adapter with lora_bias is merged into linears with biases alone. Use it unmerged.`;
      throw new LowrankError("E_MERGE", message, module);
    }
    merged.set(bias.name, (engine) => engine.mergedBias(module, bias.dtype as PlainDtype));
  }
  return merged;
}

/** The same by where tensors lie: a file may have them under other names. */
function mergedPlaces(options: MergeOptions, untied: Untied | null): Map<string, MergedBytes> {
  const stored = new Map(options.model.tensors.map((tensor) => [tensor.name, tensor]));
  const replaced = [...mergedTensors(options)].filter(([name]) => name !== untied?.name);
  const places = replaced.map(([name, bytes]) => {
    const { file, offset } = stored.get(name)!;
    return [placeOf(file, offset), bytes] as const;
  });
  return new Map(places);
}

/** The dtype of a tensor once it is decoded: its own, or the one that most of the plain tensors' elements have. */
function decodedDtype(model: ModelSource): (tensor: TensorEntry) => PlainDtype {
  const isDecoded = ({ dtype }: TensorEntry) => PLAIN.includes(dtype);
  const tensors = model.tensors.filter(isDecoded).map((tensor) => ({ ...tensor, quantize: undefined }));
  const usual = modelDtype({ ...model, tensors }) as PlainDtype;
  return (tensor) => (isDecoded(tensor) ? (tensor.dtype as PlainDtype) : usual);
}

/** @throws LowrankError E_QUANTIZED */
function checkDecodes(model: ModelSource, decodes: boolean): void {
  const refuse = (what: string) =>
    new LowrankError(
      "E_QUANTIZED",
      `${model.folder} ${what}: an adapter is merged into a folder with f32, bf16 or f16 weights, such as the folder that it was made from. Give that folder as --base_model.`,
      model.folder,
    );
  if (!existsSync(join(model.folder, "config.json"))) throw refuse("is a GGUF file");
  if (!decodes) throw refuse("is quantised (--merge_onto trained decodes it)");
  if (isStoredTransposed(model.config))
    throw refuse(`is quantised, and ${model.config.modelType} stores its plain linears transposed`);
}

/** A quantised folder, decoded and merged. */
async function writeDecoded(options: MergeOptions): Promise<void> {
  const { model, output, engine, onProgress } = options;
  const unchanged = new Unchanged(model.tensors.map(({ file }) => file));
  const merged = mergedTensors(options);
  const untied = untiedTable(model, options.modules);
  const twin = model.tensors.find(({ file, offset }) => placeOf(file, offset) === untied?.place);
  const all = untied && twin ? [...model.tensors, { ...twin, name: untied.name }] : model.tensors;
  const dtypeOf = decodedDtype(model);
  let done = 0;
  await writeFolder(output, async (folder) => {
    const tied = model.config.tieWordEmbeddings && !untied;
    const config = changedConfig(join(model.folder, "config.json"), {
      tie_word_embeddings: tied,
      quantization_config: undefined,
    });
    await writeTextFile(join(folder, "config.json"), config);
    const generation = join(model.folder, "generation_config.json");
    await copyInto(folder, existsSync(generation) ? [generation] : []);
    await writeTokenizer(folder, options);
    const tensors = all.map((tensor) => {
      const dtype = dtypeOf(tensor);
      const bytes = tensor.shape.reduce((product, n) => product * n, dtype === "f32" ? 4 : 2);
      const data = async () => {
        onProgress?.(++done, model.tensors.length);
        return (await merged.get(tensor.name)?.(engine)) ?? readTensor(tensor);
      };
      return { name: tensor.name, dtype: STORED_DTYPES[dtype], shape: tensor.shape, bytes, data };
    });
    await writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" });
    unchanged.check();
  });
}

/** Copies a safetensors file with some tensors replaced, and perhaps one more; else the header stays, for shapes and dtypes do. */
async function copyMerged(
  source: string,
  target: string,
  { merged, added }: { merged: Map<string, MergedBytes>; added: Untied | null },
  engine: Engine,
  onTensor: () => void,
): Promise<void> {
  const { tensors, metadata, dataBegin } = readSafetensorsHeader(source);
  try {
    await using input = await open(source, TO_READ);
    await using output = await open(target, "w");
    const twin = added && tensors.find(({ begin }) => placeOf(source, begin) === added.place)!;
    if (!twin) await copyRange(source, input, output, 0, dataBegin);
    else {
      const all = [...tensors, { ...twin, name: added.name }];
      const sized = all.map((tensor) => ({ ...tensor, bytes: tensor.end - tensor.begin }));
      await output.writeFile(safetensorsHeader(sized, metadata));
    }
    for (const { begin, end } of tensors) {
      const bytes = merged.get(placeOf(source, begin));
      if (bytes === undefined) await copyRange(source, input, output, begin, end);
      else await output.writeFile(checked(await bytes(engine), end - begin));
      onTensor();
    }
    if (twin && added.bytes) await output.writeFile(checked(await added.bytes(engine), twin.end - twin.begin));
    else if (twin) await copyRange(source, input, output, twin.begin, twin.end);
    await output.sync();
  } catch (error) {
    throw writeError(error, target);
  }
}

function checked(bytes: Uint8Array, expected: number): Uint8Array {
  if (bytes.byteLength === expected) return bytes;
  throw new LowrankError("E_INTERNAL", `A merged tensor has ${bytes.byteLength} bytes, expected ${expected}.`);
}

async function copyRange(
  source: string,
  input: FileHandle,
  output: FileHandle,
  begin: number,
  end: number,
): Promise<void> {
  const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, end - begin));
  for (let at = begin; at < end; ) {
    const { bytesRead } = await input.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0)
      throw new LowrankError("E_FILE_CHANGED", `${source}: the file became shorter while it was copied.`, source);
    await output.writeFile(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}
