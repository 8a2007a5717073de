// A base's numbers, looked at and quantised.
import { setImmediate } from "node:timers/promises";
import { native } from "./addon.js";
import { callSync } from "./call.js";
import type { ModelSource, QuantizationMaps, QuantizedTensor, TensorEntry } from "./types.js";

/**
 * A matrix quantised as `tensor.quantize` says, with `threads` threads. @throws LowrankError E_FILE, E_QUANTIZED,
 * E_TENSOR_SHAPE, E_TENSOR_VALUE
 */
export function quantizeTensor(tensor: TensorEntry, threads: number): QuantizedTensor {
  return callSync(() => native().quantize(tensor, threads));
}

/**
 * Looks at every number of a model's files, with `threads` threads, in the order of the files.
 * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
 */
export async function checkFinite({ tensors }: Pick<ModelSource, "tensors">, threads: number): Promise<void> {
  for (const tensor of tensors) {
    callSync(() => native().checkFinite(tensor, threads));
    // A large tensor takes a while.
    await setImmediate();
  }
}

export function quantizationMaps(): QuantizationMaps {
  return native().quantizationMaps();
}
