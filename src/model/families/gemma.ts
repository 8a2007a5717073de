// Gemma: LLaMA's block with GEGLU, norms of 1 + weight and an embedding scaled by the root of its width (Mesnard et al., 2024).
import type { ConfigKeys } from "../keys.js";
import type { Warn } from "../warn.js";
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { type LlamaConfig, type LlamaDefaults, llama, llamaBlock, readLlamaNumbers } from "./llama.js";
import { scoreHead } from "./parts.js";

/** The numbers that all Gemmas have. */
export function readGemmaNumbers(
  keys: ConfigKeys,
  warn: Warn,
  defaults: LlamaDefaults,
): Omit<LlamaConfig, "modelType"> {
  keys.only("use_bidirectional_attention", [false], false);
  const numbers = readLlamaNumbers(keys, warn, { ...defaults, headDim: 256, tied: true });
  return {
    ...numbers,
    attentionBias: keys.flag("attention_bias", false),
    mlpBias: false,
    normOffset: 1,
    embeddingScale: Math.sqrt(numbers.hiddenSize),
  };
}

export const gemma: Family = {
  modelType: "gemma",
  names: llama.names,
  // The defaults of transformers' GemmaConfig. "gelu" of its first releases means the approximation.
  readConfig(keys, warn) {
    const legacy = keys.json.hidden_act === "gelu";
    const own = legacy ? keys.with({ hidden_act: "gelu_pytorch_tanh" }) : keys;
    return readGemmaNumbers(own, warn, {
      positions: 8192,
      kvHeads: 16,
      activation: ["hidden_act", "gelu_pytorch_tanh"],
    });
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => {
    const { attentionBias } = config;
    return llamaBlock(config, { qkv: attentionBias, out: attentionBias, mlp: false });
  },
  classifier: scoreHead,
  targets: ["q_proj", "v_proj"],
  tokenizer: { begins: true },
  gguf: { architecture: "gemma", numbers: LLAMA_NUMBERS, wholeNorms: true },
};
