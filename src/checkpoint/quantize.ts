// A model folder with quantised linears, as transformers and bitsandbytes save it: transformers loads it, and so does this
// program.
import { closeSync, existsSync, readSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Float } from "../base/exact-json.js";
import { openRegular, readError } from "../base/system-errors.js";
import type { Tokenizer } from "../data/index.js";
import {
  FOUR_BIT,
  listLinears,
  PLAIN,
  ROW_MAXIMA,
  stateOf,
  type TensorToWrite,
  writeSafetensors,
} from "../model/index.js";
import {
  checkFinite,
  type ModelSource,
  type PlainDtype,
  quantizationMaps,
  quantizeTensor,
  type TensorEntry,
} from "../native/index.js";
import { checkModelOutput, copyInto, writeFolder, writeTextFile } from "./files.js";
import { changedConfig } from "./model-config.js";
import { Unchanged } from "./unchanged.js";

/** Dtypes as safetensors spells them. */
export const STORED_DTYPES: Record<PlainDtype, string> = { f32: "F32", bf16: "BF16", f16: "F16" };
const TORCH: Record<PlainDtype, string> = { f32: "float32", bf16: "bfloat16", f16: "float16" };
const BLOCK = 64;
/** Block size of the maxima, which are quantised, too. */
const NESTED_BLOCK = 256;

export interface QuantizeOptions {
  /** The model with `quantize` at the weights to be quantised. */
  model: ModelSource;
  output: string;
  tokenizer: Tokenizer;
  threads: number;
  overwrite?: boolean;
  /** Steps done so far, and all steps. Writing a tensor is a step, and so are the statistics of a quantised tensor. */
  onProgress?: (done: number, total: number) => void;
}

type Bytes = Uint8Array<ArrayBuffer>;

export function readTensor({ file, offset, bytes }: TensorEntry): Bytes {
  const content = new Uint8Array(bytes);
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(file, "Weights");
    readSync(descriptor, content, 0, bytes, offset);
    return content;
  } catch (error) {
    throw readError(error, file, "Weights");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

const whole = (name: string, dtype: string, data: Bytes, shape: number[]): TensorToWrite => {
  return { name, dtype, shape, bytes: data.byteLength, data };
};

/** JSON with spaces after commas and colons, as Python writes it. */
function asPython(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(asPython).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${asPython(item)}`)
    .join(", ")}}`;
}

/**
 * The tensors that a weight becomes. Its statistics are made at once and held; its codes, which are large, are made anew when
 * their turn to be written comes.
 */
function quantized(tensor: TensorEntry, threads: number, onWritten: () => void): TensorToWrite[] {
  const { name } = tensor;
  // bitsandbytes has a layer of (out, in) in the place of Conv1D, too.
  const shape = tensor.transposed ? tensor.shape.toReversed() : tensor.shape;
  const { format, doubleQuant } = tensor.quantize!;
  const { codes, absmax, absmaxCodes, absmaxOffset } = quantizeTensor(tensor, threads);
  const maxima = new Uint8Array(absmax);
  const content = async () => {
    onWritten();
    return new Uint8Array(quantizeTensor(tensor, threads).codes);
  };
  if (format === "i8") {
    const module = name.replace(/\.weight$/, "");
    return [
      { name, dtype: "I8", shape, bytes: codes.byteLength, data: content },
      whole(module + ROW_MAXIMA, "F32", maxima, [shape[0]!]),
      // Row by row; other layouts are of older versions.
      whole(`${module}.weight_format`, "U8", new Uint8Array(1), []),
    ];
  }
  const maps = quantizationMaps();
  const bytesOf = (map: Float32Array) => new Uint8Array(map.slice().buffer);
  const nested = { nested_blocksize: NESTED_BLOCK, nested_dtype: "float32", nested_offset: absmaxOffset };
  const dtype = TORCH[tensor.dtype as PlainDtype];
  const state = { quant_type: format, blocksize: BLOCK, dtype, shape, ...(doubleQuant ? nested : {}) };
  const description = new Uint8Array(Buffer.from(asPython(state)));
  const written: TensorToWrite[] = [
    { name, dtype: "U8", shape: [codes.byteLength, 1], bytes: codes.byteLength, data: content },
    whole(name + FOUR_BIT.map, "F32", bytesOf(maps[format]), [16]),
    whole(name + stateOf(format), "U8", description, [description.byteLength]),
  ];
  if (!absmaxCodes) return [...written, whole(name + FOUR_BIT.absmax, "F32", maxima, [maxima.byteLength / 4])];
  return [
    ...written,
    whole(name + FOUR_BIT.absmax, "U8", new Uint8Array(absmaxCodes), [absmaxCodes.byteLength]),
    whole(name + FOUR_BIT.nestedAbsmax, "F32", maxima, [maxima.byteLength / 4]),
    whole(name + FOUR_BIT.nestedMap, "F32", bytesOf(maps.dynamic), [256]),
  ];
}

/** The section as transformers writes it. */
function quantizationConfig(model: ModelSource): Record<string, unknown> {
  const { format, doubleQuant } = model.tensors.find(({ quantize }) => quantize)!.quantize!;
  const isFour = format !== "i8";
  return {
    quant_method: "bitsandbytes",
    _load_in_4bit: isFour,
    _load_in_8bit: !isFour,
    load_in_4bit: isFour,
    load_in_8bit: !isFour,
    bnb_4bit_quant_type: isFour ? format : "fp4",
    bnb_4bit_use_double_quant: doubleQuant,
    bnb_4bit_compute_dtype: "bfloat16",
    bnb_4bit_quant_storage: "uint8",
    llm_int8_threshold: new Float(6),
    llm_int8_skip_modules: skipped(model),
    llm_int8_enable_fp32_cpu_offload: false,
    llm_int8_has_fp16_weight: false,
  };
}

/** Modules that transformers must not expect quantised: the head, where it was not, and linears that were left out. */
function skipped(model: ModelSource): string[] {
  const quantized = new Set(model.tensors.filter(({ quantize }) => quantize).map(({ name }) => name));
  const { head } = model.spec;
  const heads = head ? [head.replace(/\.weight$/, "")] : [];
  const modules = [...heads, ...listLinears(model).map(({ name }) => name)];
  return modules.filter((name) => !quantized.has(`${name}.weight`));
}

/**
 * Writes the folder; it is complete or absent, and one tensor at most is in memory.
 * @throws LowrankError E_OUTPUT_EXISTS, E_TENSOR_VALUE, E_WRITE, E_FILE_CHANGED
 */
export async function writeQuantized({ model, output, tokenizer, threads, ...o }: QuantizeOptions): Promise<void> {
  checkModelOutput(output, o.overwrite ?? false);
  const unchanged = new Unchanged(model.tensors.map(({ file }) => file));
  await checkFinite(model, threads);
  const total = model.tensors.length + model.tensors.filter(({ quantize }) => quantize).length;
  let done = 0;
  const count = () => o.onProgress?.(++done, total);
  await writeFolder(output, async (folder) => {
    const config = changedConfig(join(model.folder, "config.json"), {
      // The stored head may be another than the embedding though the configuration says that it is the same.
      tie_word_embeddings: model.config.tieWordEmbeddings,
      quantization_config: quantizationConfig(model),
    });
    await writeTextFile(join(folder, "config.json"), config);
    const generation = join(model.folder, "generation_config.json");
    await copyInto(folder, [...(existsSync(generation) ? [generation] : []), ...tokenizer.files]);
    const tensors: TensorToWrite[] = [];
    for (const tensor of model.tensors) {
      if (tensor.quantize) {
        tensors.push(...quantized(tensor, threads, count));
        count();
        // The progress bar is drawn here.
        await setImmediate();
        continue;
      }
      const { name, dtype, shape, bytes } = tensor;
      const data = async () => {
        count();
        return readTensor(tensor);
      };
      tensors.push({ name, dtype: STORED_DTYPES[dtype as PlainDtype], shape, bytes, data });
    }
    await writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" });
    unchanged.check();
  });
}

/** Whether every tensor of a model is stored plainly, as Hugging Face has it. */
export function isPlain({ tensors }: ModelSource): boolean {
  return tensors.every(({ dtype, interleaved, rowBlocks }) => PLAIN.includes(dtype) && !interleaved && !rowBlocks);
}
