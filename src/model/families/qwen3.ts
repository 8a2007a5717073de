// Qwen3: LLaMA's block with norms of each head of q and k (Yang et al., 2025).
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { type LlamaConfig, llama, llamaBlock, readLlamaNumbers, withHeadNorms } from "./llama.js";
import { scoreHead } from "./parts.js";
import { readQwenWindows } from "./qwen2.js";

export const qwen3: Family = {
  modelType: "qwen3",
  names: llama.names,
  // The defaults of transformers' Qwen3Config.
  readConfig(keys, warn) {
    const numbers = readLlamaNumbers(keys, warn, { positions: 32768, headDim: 128, kvHeads: 32 });
    const attentionBias = keys.flag("attention_bias", false);
    return { ...numbers, ...readQwenWindows(keys, numbers), attentionBias, mlpBias: false };
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => {
    const { attentionBias } = config;
    return withHeadNorms(llamaBlock(config, { qkv: attentionBias, out: attentionBias, mlp: false }), config);
  },
  classifier: scoreHead,
  targets: llama.targets,
  gguf: { architecture: "qwen3", numbers: LLAMA_NUMBERS },
};
