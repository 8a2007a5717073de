// OLMo 2: norms after each part instead of before it, and norms of all of q and all of k (Walsh et al., 2024).
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { type LlamaConfig, llama, llamaBlock, readLlamaNumbers, rmsNorm, withHeadNorms } from "./llama.js";
import { scoreHead } from "./parts.js";

export const olmo2: Family = {
  modelType: "olmo2",
  names: llama.names,
  // The defaults of transformers' Olmo2Config.
  readConfig(keys, warn) {
    const numbers = readLlamaNumbers(keys, warn, { positions: 2048, eps: 1e-5 });
    return { ...numbers, attentionBias: keys.flag("attention_bias", false), mlpBias: false };
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => {
    const { attentionBias } = config;
    const block = llamaBlock(config, { qkv: attentionBias, out: attentionBias, mlp: false });
    const { attention, mlp } = withHeadNorms(block, config, true);
    return {
      attention: { ...attention, norm: null, residual: { norm: rmsNorm(config, "post_attention_layernorm.weight") } },
      mlp: { ...mlp, norm: null, residual: { norm: rmsNorm(config, "post_feedforward_layernorm.weight") } },
    };
  },
  classifier: scoreHead,
  targets: llama.targets,
  tokenizer: { asStored: true },
  gguf: { architecture: "olmo2", numbers: LLAMA_NUMBERS },
};
