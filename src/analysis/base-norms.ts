// Frobenius norms of a base's weights.
import { closeSync, readSync } from "node:fs";
import { openRegular, readError } from "../base/system-errors.js";
import { PLAIN, widen } from "../model/index.js";
import type { ModelSource, PlainDtype } from "../native/index.js";

/** Bytes that are read at a time. */
const PIECE = 1 << 22;

/** Of the modules' weights, by module. Modules that are not there, and quantised weights, are left out. */
export function baseNorms(model: ModelSource, modules: readonly string[]): Map<string, number> {
  const norms = new Map<string, number>();
  const tensors = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  for (const module of modules) {
    const tensor = tensors.get(`${module}.weight`);
    if (!tensor || !PLAIN.includes(tensor.dtype)) continue;
    const { file, offset, bytes } = tensor;
    const descriptor = openRegular(file, "Weights");
    let sum = 0;
    try {
      for (let at = 0; at < bytes; at += PIECE) {
        const piece = new Uint8Array(Math.min(PIECE, bytes - at));
        readSync(descriptor, piece, 0, piece.length, offset + at);
        for (const value of widen(piece, tensor.dtype as PlainDtype)) sum += value * value;
      }
    } catch (error) {
      throw readError(error, file, "Weights");
    } finally {
      closeSync(descriptor);
    }
    norms.set(module, Math.sqrt(sum));
  }
  return norms;
}
