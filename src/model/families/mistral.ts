// Mistral: LLaMA's block with a sliding window (Jiang et al., 2023).
import { readWindow, windowKinds } from "../attention-kinds.js";
import type { Family } from "./family.js";
import { type LlamaConfig, llama, llamaBlock, readLlamaNumbers } from "./llama.js";
import { scoreHead } from "./parts.js";

export const mistral: Family = {
  modelType: "mistral",
  names: llama.names,
  // The defaults of transformers' MistralConfig.
  readConfig(keys, warn) {
    const numbers = readLlamaNumbers(keys, warn, { positions: 131_072, kvHeads: 8 });
    const windows = Array.from({ length: numbers.layers }, () => readWindow(keys, 4096));
    return { ...numbers, ...windowKinds(windows, numbers), attentionBias: false, mlpBias: false };
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => llamaBlock(config, { qkv: false, out: false, mlp: false }),
  classifier: scoreHead,
  targets: llama.targets,
  tokenizer: { asStored: true, begins: true },
  // llama.cpp has no name of its own for it.
  gguf: llama.gguf!,
};
