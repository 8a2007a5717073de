// The base model with an adapter merged into its weights, file by file as the base has them.
import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { TO_READ, writeError } from "../base/system-errors.js";
import { findTokenizerFiles, type Tokenizer } from "../data/index.js";
import { findWeightFiles, readSafetensorsHeader } from "../model/index.js";
import type { Engine, ModelSource, PlainDtype } from "../native/index.js";
import { checkModelOutput, copyInto, MODEL_CONFIGS, writeFolder } from "./files.js";
import { isPlain } from "./quantize.js";
import { Unchanged } from "./unchanged.js";

const CHUNK_BYTES = 8 << 20;

export interface MergeOptions {
  engine: Engine;
  model: ModelSource;
  /** Full names of the modules that carry an adapter. */
  modules: string[];
  /** Whether the adapter has a bias of each B. */
  biases?: boolean | undefined;
  output: string;
  /** Whose files to write beside the weights, where they are not the base's own. */
  tokenizer?: Tokenizer;
  /** Replaces a merged model that stands there; a folder that holds anything else is refused all the same. */
  overwrite?: boolean;
  /** Tensors written so far, and all of them. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Writes the merged model in the dtypes and files of the base: the same names, headers and index, every tensor but the
 * merged ones byte for byte. The folder is complete or absent; one tensor at most is in memory.
 * @throws LowrankError E_OUTPUT_EXISTS, E_MERGE where the base has no bias to merge one into, E_TENSOR_VALUE and E_NAN where a weight would not be a number, E_WRITE,
 * E_FILE_CHANGED
 */
export async function writeMerged(options: MergeOptions): Promise<void> {
  const { model, modules, output, tokenizer, onProgress } = options;
  checkModelOutput(output, options.overwrite ?? false);
  if (!isPlain(model)) {
    const message = `${model.folder} is quantised or a GGUF file: an adapter is merged into a folder with f32, bf16 or f16 weights, such as the folder that it was made from. Give that folder as --base_model.`;
    throw new LowrankError("E_QUANTIZED", message, model.folder);
  }
  await options.engine.checkWeights();
  const { files, index } = findWeightFiles(model.folder);
  const unchanged = new Unchanged(files.map((file) => join(model.folder, file)));
  const total = files.reduce((sum, file) => sum + readSafetensorsHeader(join(model.folder, file)).tensors.length, 0);
  let done = 0;
  const merged = mergedPlaces(model, modules, options.biases ?? false);
  const others = [...MODEL_CONFIGS, ...(index === null ? [] : [index])].map((name) => join(model.folder, name));
  await writeFolder(output, async (folder) => {
    await copyInto(
      folder,
      others.filter((path) => existsSync(path)),
    );
    await copyInto(folder, tokenizer?.files ?? findTokenizerFiles(model.folder));
    for (const file of files) {
      await copyMerged(join(model.folder, file), join(folder, file), merged, options.engine, () =>
        onProgress?.(++done, total),
      );
    }
    unchanged.check();
  });
}

const placeOf = (file: string, offset: number) => `${offset} ${file}`;

type MergedBytes = (engine: Engine) => Promise<Uint8Array>;

/** What replaces weights and biases, by where they lie: a file may have them under other names. */
function mergedPlaces(model: ModelSource, modules: string[], biases: boolean): Map<string, MergedBytes> {
  const stored = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const places = new Map<string, MergedBytes>();
  for (const module of modules) {
    const { file, offset } = stored.get(`${module}.weight`)!;
    places.set(placeOf(file, offset), (engine) => engine.mergedWeight(module));
    if (!biases) continue;
    const bias = stored.get(`${module}.bias`);
    if (!bias) {
      const message = `${module} has no bias in ${model.folder}: an adapter with lora_bias is merged into linears with biases alone. Use it unmerged.`;
      throw new LowrankError("E_MERGE", message, module);
    }
    places.set(placeOf(bias.file, bias.offset), (engine) => engine.mergedBias(module, bias.dtype as PlainDtype));
  }
  return places;
}

/** Copies a safetensors file with some tensors replaced; the header stays, for shapes and dtypes do. */
async function copyMerged(
  source: string,
  target: string,
  merged: Map<string, MergedBytes>,
  engine: Engine,
  onTensor: () => void,
): Promise<void> {
  const { tensors, dataBegin } = readSafetensorsHeader(source);
  try {
    await using input = await open(source, TO_READ);
    await using output = await open(target, "w");
    await copyRange(source, input, output, 0, dataBegin);
    for (const { begin, end } of tensors) {
      const bytes = merged.get(placeOf(source, begin));
      if (bytes === undefined) await copyRange(source, input, output, begin, end);
      else await output.writeFile(checked(await bytes(engine), end - begin));
      onTensor();
    }
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
