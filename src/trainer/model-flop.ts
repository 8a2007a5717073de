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
  const { hiddenSize, vocabSize, layers, heads, headDim } = model.config;
  let perToken = 0;
  for (const { inFeatures, outFeatures } of listLinears(model)) perToken += 4 * inFeatures * outFeatures;
  // The layers of a classifier see one token of each text. Vectors are no products.
  let perText = 0;
  for (const [name, shape] of adapterTensors(model, adapter)) {
    const flop = 6 * shape.reduce((product, n) => product * n, 1);
    if (!name.includes(".lora_")) perText += flop;
    else if (shape.length === 2) perToken += flop;
  }
  const perSupervised = model.spec.classifier ? 0 : 4 * hiddenSize * vocabSize;
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
