import { listLinears } from "../model/index.js";
import { type AdapterSpec, adapterTensors, type ModelSource } from "../native/index.js";
import type { Window } from "./windows.js";

/** The part of a window that decides its FLOP. */
export type FlopWindow = Pick<Window, "microBatches" | "supervisedTokens">;

/**
 * FLOP that a step's window asks of the model, as MFU counts them (Chowdhery et al., 2022): products, attention and the head,
 * forward and backward. Recomputed blocks do not add to it. The base is frozen: its linears have the gradient of their input alone.
 */
export function modelFlop(model: ModelSource, adapter: AdapterSpec): (window: FlopWindow) => number {
  const { vocabSize, layers, heads, headDim } = model.config;
  const { classifier, projection, dim } = model.spec;
  const tableDim = projection?.dim ?? dim;
  let perToken = 0;
  let perSupervised = classifier ? 0 : 4 * tableDim * vocabSize;
  if (projection) {
    perToken += 2 * dim * tableDim;
    if (!classifier) perSupervised += 4 * dim * tableDim;
  }
  for (const { inFeatures, outFeatures } of listLinears(model)) perToken += 4 * inFeatures * outFeatures;
  // The layers of a classifier see one token of each text. Vectors are no products.
  let perText = 0;
  for (const { shape, role } of adapterTensors(model, adapter).values()) {
    const elements = shape.reduce((product, n) => product * n, 1);
    if (role === "lora_a" || role === "lora_b") perToken += 6 * elements;
    else if (role === "head" && shape.length === 2) perSupervised += 2 * elements;
    else if (role === "whole") perText += 6 * elements;
  }
  const perPair = 12 * layers * heads * headDim;
  return ({ microBatches, supervisedTokens }) => {
    let flop = perSupervised * supervisedTokens;
    for (const { batch } of microBatches) {
      flop += perText * batch.sequences.length;
      for (const { inputIds } of batch.sequences) {
        const n = inputIds.length;
        flop += perToken * n + perPair * ((n * (n + 1)) / 2);
      }
    }
    return flop;
  };
}
