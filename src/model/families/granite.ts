// Granite: LLaMA's block with factors of embedding, scores, residuals and logits (Granite Team, 2024).
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { llama, readLlamaNumbers } from "./llama.js";

export const granite: Family = {
  modelType: "granite",
  names: llama.names,
  // The defaults of transformers' GraniteConfig.
  readConfig(keys, warn) {
    const factor = (key: string) => keys.number(key, { above: 0 }, 1);
    return {
      ...readLlamaNumbers(keys, warn, { positions: 2048 }),
      attentionBias: keys.flag("attention_bias", false),
      mlpBias: keys.flag("mlp_bias", false),
      embeddingScale: factor("embedding_multiplier"),
      attentionScale: factor("attention_multiplier"),
      residualScale: factor("residual_multiplier"),
      logitScale: 1 / factor("logits_scaling"),
    };
  },
  outside: llama.outside,
  block: llama.block,
  targets: llama.targets,
  tokenizer: { asStored: true },
  gguf: {
    architecture: "granite",
    numbers: {
      ...LLAMA_NUMBERS,
      embedding_multiplier: "embedding_scale",
      attention_multiplier: "attention.scale",
      residual_multiplier: "residual_scale",
      logits_scaling: "logit_scale",
    },
    interleaved: true,
    dividesLogits: true,
  },
};
