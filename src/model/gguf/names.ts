// llama.cpp's names of a model's tensors, and the order of their rows there.
import { LowrankError } from "../../base/errors.js";
import type { ModelConfig } from "../../native/index.js";
import { findFamily, type GgufNames } from "../families/index.js";

export interface GgufPlace {
  name: string;
  /** Set where rotary pairs lie side by side: rows of a head. */
  headDim?: number;
}

/** @throws LowrankError E_ARCHITECTURE where llama.cpp's names of the family are not known here */
export function ggufNames({ modelType }: Pick<ModelConfig, "modelType">): GgufNames {
  const found = findFamily(modelType)?.gguf;
  if (found) return found;
  const message = `model_type "${modelType}" is not written as GGUF yet. Write the merged model with lowrank merge, and convert it with llama.cpp's convert_hf_to_gguf.py.`;
  throw new LowrankError("E_ARCHITECTURE", message, "model_type");
}

/** The name of a tensor of Hugging Face's; undefined for one that llama.cpp has no name for. */
export function ggufPlace(config: ModelConfig, tensor: string): GgufPlace | undefined {
  const family = findFamily(config.modelType)!;
  const { modules, interleaved } = ggufNames(config);
  const { embedding, finalNorm, head, layers } = family.names;
  const outside: Record<string, string> = {
    [embedding]: "token_embd.weight",
    [finalNorm]: "output_norm.weight",
    [head]: "output.weight",
  };
  if (Object.hasOwn(outside, tensor)) return { name: outside[tensor]! };
  if (!tensor.startsWith(layers)) return undefined;
  const [, layer, module, kind] = /^(\d+)\.(.+)\.(weight|bias)$/.exec(tensor.slice(layers.length)) ?? [];
  const part = Object.keys(modules).find((name) => modules[name] === module);
  if (part === undefined) return undefined;
  const place = { name: `blk.${layer}.${part}.${kind}` };
  return interleaved.includes(part) ? { ...place, headDim: config.headDim } : place;
}

/**
 * Rows of heads whose halves rotate together, as rows whose neighbours do.
 * @param values row after row, of `columns` numbers each
 * @param back the other way round
 */
export function interleaveRows(values: Float32Array, columns: number, headDim: number, back = false): Float32Array {
  const out = new Float32Array(values.length);
  const half = headDim / 2;
  for (let row = 0; row < values.length / columns; row++) {
    const within = row % headDim;
    const other = row - within + 2 * (within % half) + Math.floor(within / half);
    const [from, to] = back ? [other, row] : [row, other];
    out.set(values.subarray(from * columns, (from + 1) * columns), to * columns);
  }
  return out;
}
