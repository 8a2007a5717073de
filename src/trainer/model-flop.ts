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
  const { classifier, embeddingLinear, finalLinear, dim } = model.spec;
  let perToken = 0;
  // Of the tokens that the head reads, or a classifier: one of each text.
  let perRead = classifier ? 0 : 4 * (finalLinear?.out ?? dim) * vocabSize;
  for (const { name, inFeatures, outFeatures } of listLinears(model)) {
    if (name === finalLinear?.module) perRead += 4 * inFeatures * outFeatures;
    else perToken += (name === embeddingLinear?.module ? 2 : 4) * inFeatures * outFeatures;
  }
  // Vectors are no products.
  for (const [name, { shape, role }] of adapterTensors(model, adapter)) {
    const elements = shape.reduce((product, n) => product * n, 1);
    if (role === "lora_a" || role === "lora_b") {
      if (finalLinear && name.startsWith(`${finalLinear.module}.`)) perRead += 6 * elements;
      else perToken += 6 * elements;
    } else if (role === "head" && shape.length === 2) perRead += 2 * elements;
    else if (role === "whole") perRead += 6 * elements;
  }
  const perPair = 12 * layers * heads * headDim;
  return ({ microBatches, supervisedTokens }) => {
    let flop = classifier ? 0 : perRead * supervisedTokens;
    for (const { batch } of microBatches) {
      if (classifier) flop += perRead * batch.sequences.length;
      for (const { inputIds } of batch.sequences) {
        const n = inputIds.length;
        flop += perToken * n + perPair * ((n * (n + 1)) / 2);
      }
    }
    return flop;
  };
}
