// Cohere's Command R7B: Command R's block, with windows and rotary positions in three of four layers and neither in the fourth.
import { kindsOf, readLayerTypes, readWindow, windowsOf } from "../attention-kinds.js";
import { cohere, readCohereNumbers } from "./cohere.js";
import type { Family } from "./family.js";

export const cohere2: Family = {
  ...cohere,
  modelType: "cohere2",
  // The defaults of transformers' Cohere2Config.
  readConfig(given, warn) {
    const keys = given.with({ head_dim: undefined });
    const numbers = readCohereNumbers(keys, warn, {});
    const every = keys.count("sliding_window_pattern", 100_000, 4);
    const types = readLayerTypes(keys, numbers.layers, (layer) =>
      (layer + 1) % every ? "sliding_attention" : "full_attention",
    );
    const rope = { theta: numbers.ropeTheta, scaling: numbers.ropeScaling };
    const windows = windowsOf(keys, types, readWindow(keys, 4096));
    return { ...numbers, ...kindsOf(windows.map((window) => ({ window, rope: window > 0 ? rope : null }))) };
  },
};
