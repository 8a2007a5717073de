// Qwen2 and Qwen2.5: LLaMA's block with biases on q, k and v (Yang et al., 2024).
import type { Family } from "./family.js";
import { llama, llamaBlock, readLlamaNumbers, scoreHead } from "./llama.js";

export const qwen2: Family = {
  modelType: "qwen2",
  names: llama.names,
  // The defaults of transformers' Qwen2Config.
  readConfig(keys, warn) {
    keys.only("use_sliding_window", [false], false);
    return { ...readLlamaNumbers(keys, warn, 32768), attentionBias: true, mlpBias: false };
  },
  block: (config) => llamaBlock(config, { qkv: true, out: false, mlp: false }),
  classifier: scoreHead,
  targets: llama.targets,
  gguf: { ...llama.gguf!, architecture: "qwen2", interleaved: [], attentionBias: true },
};
