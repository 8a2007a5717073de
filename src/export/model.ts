// A model with its adapter merged, as a GGUF file.
import { closeSync, readSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { openRegular } from "../base/system-errors.js";
import { isPlain } from "../checkpoint/index.js";
import type { StoredTemplates, Tokenizer } from "../data/index.js";
import {
  canEncode,
  type EncodedDtype,
  encode,
  type GgufTensorToWrite,
  ggufNames,
  metadataOf,
  orderRows,
  TensorNames,
  tokenTables,
  widen,
  writeGgufFile,
} from "../model/index.js";
import type { Engine, ModelSource, PlainDtype, TensorEntry, TokenRows } from "../native/index.js";
import { tokenizerMetadata } from "./tokenizer.js";

/** llama.cpp's numbers of the types of whole files (general.file_type). */
const FILE_TYPES: Record<EncodedDtype, number> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7, q4_k: 14, bf16: 32 };
const QUANTIZATION_VERSION = 2;

export interface ModelExport {
  engine: Engine;
  model: ModelSource;
  /** Modules with an adapter, or that train whole; the engine has it. */
  modules: readonly string[];
  /** Rows of single tokens that it has. */
  tokens?: readonly TokenRows[] | undefined;
  tokenizer: Tokenizer;
  /** Chat templates in the place of the tokenizer's. */
  templates?: StoredTemplates | undefined;
  file: string;
  dtype: EncodedDtype;
  onProgress?: (done: number, total: number) => void;
}

function refuse(what: string, where: string): LowrankError {
  const way = "Write the merged model with lowrank merge, and convert it with llama.cpp's convert_hf_to_gguf.py.";
  return new LowrankError("E_EXPORT", `${what} is not written as GGUF yet. ${way}`, where);
}

/** Matrices are encoded, where their rows are whole blocks; the embedding and the head stay in 8 bits at least. Vectors, norms and positions are f32. */
function dtypeOf(wanted: EncodedDtype, name: string, shape: number[]): EncodedDtype {
  if (shape.length === 1 || /norm\.weight$|^position_embd\./.test(name)) return "f32";
  const isEnd = name === "token_embd.weight" || name === "output.weight";
  const dtype = isEnd && (wanted === "q4_0" || wanted === "q4_k") ? "q8_0" : wanted;
  const columns = shape.at(-1)!;
  return [dtype, "q8_0", "f16"].find((each) => canEncode(each as EncodedDtype, columns)) as EncodedDtype;
}

/** (in, out) as (out, in). */
function turned(values: Float32Array, [rows, columns]: number[]): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows!; row++)
    for (let column = 0; column < columns!; column++) out[column * rows! + row] = values[row * columns! + column]!;
  return out;
}

function readStored({ file, offset, bytes, dtype }: TensorEntry): Float32Array {
  const into = new Uint8Array(bytes);
  const descriptor = openRegular(file, "Model");
  try {
    for (let at = 0; at < bytes; ) {
      const read = readSync(descriptor, into, at, Math.min(bytes - at, 2 ** 30), offset + at);
      if (read === 0)
        throw new LowrankError("E_FILE_CHANGED", `${file}: the file became shorter while it was read.`, file);
      at += read;
    }
  } finally {
    closeSync(descriptor);
  }
  return widen(into, dtype as PlainDtype);
}

/** Embedding and head of a base that has one table for both, where one of them trains whole. */
function untied({ spec, tensors }: ModelSource, merged: ReadonlySet<string>): TensorEntry[] {
  const embedding = tensors.find(({ name }) => name === spec.embedding);
  const isApart = tensors.some(({ name }) => name === spec.head);
  if (!spec.tiedHead || isApart || !embedding || !(merged.has(spec.embedding) || merged.has(spec.head))) return tensors;
  return [...tensors, { ...embedding, name: spec.head }];
}

/**
 * Writes the merged weights, encoded, with configuration and tokenizer. One tensor at a time is in memory.
 * @returns how many matrices of blocks have another type, as their rows are no whole blocks of the wanted one
 * @throws LowrankError E_QUANTIZED where the base is not in f32, bf16 or f16; E_ARCHITECTURE, E_EXPORT, E_TOKENIZER, E_WRITE
 */
export async function exportModel({
  engine,
  model,
  modules,
  tokens,
  tokenizer,
  templates,
  file,
  dtype,
  onProgress,
}: ModelExport): Promise<{ others: number }> {
  const { config, spec } = model;
  const { architecture } = ggufNames(config);
  if (!isPlain(model)) {
    const message = `${model.folder} is quantised or a GGUF file: an adapter is merged into f32, bf16 or f16 weights. Give the folder that it was made from as --base_model, or export the adapter alone (--format gguf-adapter).`;
    throw new LowrankError("E_QUANTIZED", message, model.folder);
  }
  const weightOf = (module: string) => `${module}.weight`;
  const whole = new Set(modules.map(weightOf));
  const merged = new Set([...whole, ...tokenTables(model, tokens).map(weightOf)]);
  let done = 0;
  const names = new TensorNames(config, model.spec);
  const tensors = untied(model, whole).map((tensor): GgufTensorToWrite => {
    const place = names.placeOf(tensor.name);
    if (!place) throw refuse(`Tensor ${tensor.name}`, tensor.name);
    const { name, order, offset } = place;
    const shape = tensor.transposed ? tensor.shape.toReversed() : tensor.shape;
    const encoded = dtypeOf(dtype, name, shape);
    const data = async () => {
      const module = tensor.name.slice(0, tensor.name.lastIndexOf("."));
      const isBias = tensor.name === spec.headBias && whole.has(spec.head);
      const bytes = isBias
        ? await engine.mergedBias(module, tensor.dtype as PlainDtype)
        : merged.has(tensor.name) && (await engine.mergedWeight(module));
      const stored = bytes ? widen(new Uint8Array(bytes), tensor.dtype as PlainDtype) : readStored(tensor);
      const values = tensor.transposed ? turned(stored, tensor.shape) : stored;
      const columns = shape.length === 1 ? 1 : shape.at(-1)!;
      return encode(encoded, orderRows(offset === 0 ? values : values.map((x) => x + offset), columns, order));
    };
    return { name, shape, dtype: encoded, data };
  });
  const written = new Set(tensors.map(({ name }) => name));
  const { metadata: numbers, factors } = metadataOf(config, (name) => written.has(name));
  for (const [name, values] of Object.entries(factors))
    tensors.push({ name, shape: [values.length], dtype: "f32", data: () => encode("f32", values) });
  const metadata = {
    "general.architecture": architecture,
    "general.type": "model",
    "general.name": "merged model",
    "general.file_type": FILE_TYPES[dtype],
    "general.quantization_version": QUANTIZATION_VERSION,
    ...numbers,
    ...tokenizerMetadata(tokenizer, config.vocabSize, templates?.default),
  };
  await writeGgufFile(file, metadata, tensors, () => onProgress?.(++done, tensors.length));
  const isOther = ({ name, shape, dtype: own }: GgufTensorToWrite) =>
    name.startsWith("blk.") && shape.length > 1 && own !== dtype;
  return { others: tensors.filter(isOther).length };
}
