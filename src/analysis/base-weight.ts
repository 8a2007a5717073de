// A module's weight of the base, whole.
import { readTensor } from "../checkpoint/index.js";
import { PLAIN, widen } from "../model/index.js";
import type { ModelSource, PlainDtype } from "../native/index.js";

/** (O, I), row after row; undefined where it is not there, or quantised. */
export function baseWeight({ tensors }: ModelSource, module: string): Float32Array | undefined {
  const tensor = tensors.find(({ name }) => name === `${module}.weight`);
  if (!tensor || !PLAIN.includes(tensor.dtype) || tensor.interleaved || tensor.rowBlocks) return undefined;
  const stored = widen(readTensor(tensor), tensor.dtype as PlainDtype);
  if (!tensor.transposed) return stored;
  const [inputs, out] = tensor.shape as [number, number];
  const turned = new Float32Array(stored.length);
  for (let i = 0; i < inputs; i++) for (let o = 0; o < out; o++) turned[o * inputs + i] = stored[i * out + o]!;
  return turned;
}
