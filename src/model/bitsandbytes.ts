// Folders that were saved quantised, in bitsandbytes' layout: a weight's codes under its own name, its statistics beside it.
import { closeSync, readSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { isObject, parseJson } from "../base/json.js";
import { openRegular, readError } from "../base/system-errors.js";
import { type FileRange, quantizationMaps, type TensorEntry } from "../native/index.js";
import type { SafetensorsTensor } from "./safetensors.js";

export type FourBit = "nf4" | "fp4";
const FOUR_BIT_TYPES: readonly FourBit[] = ["nf4", "fp4"];
/** After a weight's name. */
export const stateOf = (type: FourBit) => `.quant_state.bitsandbytes__${type}`;
export const FOUR_BIT = {
  map: ".quant_map",
  absmax: ".absmax",
  nestedAbsmax: ".nested_absmax",
  nestedMap: ".nested_quant_map",
};
/** After a module's name. */
export const ROW_MAXIMA = ".SCB";
const NESTED_BLOCK = 256;
/** Longest JSON text that describes a tensor. */
const LONGEST_STATE = 1 << 16;

function readBytes({ file, begin, end }: SafetensorsTensor): Buffer {
  const bytes = Buffer.alloc(end - begin);
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(file, "Weights");
    readSync(descriptor, bytes, 0, bytes.length, begin);
    return bytes;
  } catch (error) {
    throw readError(error, file, "Weights");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

const rangeOf = ({ file, begin, end }: SafetensorsTensor): FileRange => ({ file, offset: begin, bytes: end - begin });

/** Finds the statistics of a folder's quantised weights. */
export class QuantizedTensors {
  readonly #byName: Map<string, SafetensorsTensor>;

  constructor(tensors: SafetensorsTensor[]) {
    this.#byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  /**
   * The entry of a quantised weight, undefined where the tensor is none.
   * @throws LowrankError E_QUANTIZED naming the tensor whose statistics are missing or do not fit it
   */
  entry(tensor: SafetensorsTensor): TensorEntry | undefined {
    const { name, dtype } = tensor;
    if (!name.endsWith(".weight")) return undefined;
    // The codes' bytes may be stored as numbers of any type (bnb_4bit_quant_storage), as FSDP needs them.
    const type = FOUR_BIT_TYPES.find((each) => this.#byName.has(name + stateOf(each)));
    if (type) return this.#fourBit(tensor, type);
    if (dtype === "U8") return this.#fourBit(tensor, "nf4");
    return dtype === "I8" ? this.#int8(tensor) : undefined;
  }

  #wrong({ file, name }: SafetensorsTensor, what: string): LowrankError {
    return new LowrankError(
      "E_QUANTIZED",
      `${file}: tensor ${name} ${what}. Quantise or download the model again.`,
      name,
    );
  }

  #statistics(tensor: SafetensorsTensor, name: string, dtype: string): SafetensorsTensor {
    const found = this.#byName.get(name);
    if (!found) throw this.#wrong(tensor, `is quantised, but ${name} is missing`);
    if (found.dtype !== dtype)
      throw this.#wrong(tensor, `is quantised, but ${name} is ${found.dtype}, expected ${dtype}`);
    return found;
  }

  #int8(tensor: SafetensorsTensor): TensorEntry {
    const maxima = this.#statistics(tensor, tensor.name.replace(/\.weight$/, ROW_MAXIMA), "F32");
    const { name, shape } = tensor;
    return { name, dtype: "i8", shape, ...rangeOf(tensor), absmax: rangeOf(maxima) };
  }

  #fourBit(tensor: SafetensorsTensor, type: FourBit): TensorEntry {
    const { name } = tensor;
    const suffix = stateOf(type);
    const description = this.#statistics(tensor, name + suffix, "U8");
    if (description.end - description.begin > LONGEST_STATE)
      throw this.#wrong(tensor, `has a ${suffix} that is too long`);
    const state = parseJson(readBytes(description).toString("utf8"), `${description.file}, ${description.name}`);
    if (!isObject(state)) throw this.#wrong(tensor, `has a ${suffix} that is no object`);
    const { shape, blocksize } = state;
    const isSize = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n > 0;
    if (!Array.isArray(shape) || !shape.every(isSize)) throw this.#wrong(tensor, `has no shape in its ${suffix}`);
    if (!isSize(blocksize)) throw this.#wrong(tensor, `has no blocksize in its ${suffix}`);
    this.#checkMap(tensor, type, this.#statistics(tensor, name + FOUR_BIT.map, "F32"));
    const entry = { name, dtype: type, shape, ...rangeOf(tensor), blockSize: blocksize };
    if (state.nested_offset === undefined) {
      return { ...entry, absmax: rangeOf(this.#statistics(tensor, name + FOUR_BIT.absmax, "F32")) };
    }
    if (typeof state.nested_offset !== "number" || state.nested_blocksize !== NESTED_BLOCK) {
      const found = `${state.nested_offset} and ${state.nested_blocksize}`;
      const expected = `a number and ${NESTED_BLOCK}`;
      throw this.#wrong(
        tensor,
        `has nested_offset and nested_blocksize ${found} in its ${suffix}, expected ${expected}`,
      );
    }
    return {
      ...entry,
      absmax: rangeOf(this.#statistics(tensor, name + FOUR_BIT.nestedAbsmax, "F32")),
      absmaxCodes: rangeOf(this.#statistics(tensor, name + FOUR_BIT.absmax, "U8")),
      absmaxMap: rangeOf(this.#statistics(tensor, name + FOUR_BIT.nestedMap, "F32")),
      absmaxOffset: state.nested_offset,
    };
  }

  /** The codes mean the type's values, and nothing else, natively. */
  #checkMap(tensor: SafetensorsTensor, type: FourBit, map: SafetensorsTensor): void {
    const values = quantizationMaps()[type];
    if (readBytes(map).equals(Buffer.from(values.buffer, values.byteOffset, values.byteLength))) return;
    throw this.#wrong(tensor, `has other values in ${map.name} than ${type}'s`);
  }
}
