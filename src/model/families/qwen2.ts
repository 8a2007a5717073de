// Qwen2 and Qwen2.5: LLaMA's block with biases on q, k and v (Yang et al., 2024).
import { readLayerTypes, readWindow, windowKinds, windowsOf } from "../attention-kinds.js";
import type { ConfigKeys } from "../keys.js";
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { type LlamaConfig, llama, llamaBlock, readLlamaNumbers } from "./llama.js";
import { scoreHead } from "./parts.js";

/** Qwen's sliding window: of the layers from max_window_layers on, where use_sliding_window says so. */
export function readQwenWindows(keys: ConfigKeys, config: Pick<LlamaConfig, "layers" | "ropeTheta" | "ropeScaling">) {
  const window = keys.flag("use_sliding_window", false) ? readWindow(keys, 4096) : 0;
  const full = keys.given("max_window_layers") ? keys.whole("max_window_layers", 2 ** 31) : 28;
  const types = readLayerTypes(keys, config.layers, (layer) =>
    window > 0 && layer >= full ? "sliding_attention" : "full_attention",
  );
  return windowKinds(windowsOf(keys, types, window), config);
}

export const qwen2: Family = {
  modelType: "qwen2",
  names: llama.names,
  // The defaults of transformers' Qwen2Config.
  readConfig(keys, warn) {
    const numbers = readLlamaNumbers(keys, warn, { positions: 32768 });
    return { ...numbers, ...readQwenWindows(keys, numbers), attentionBias: true, mlpBias: false };
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => llamaBlock(config, { qkv: true, out: false, mlp: false }),
  classifier: scoreHead,
  targets: llama.targets,
  tokenizer: { className: "Qwen2Tokenizer", always: true },
  gguf: { architecture: "qwen2", numbers: LLAMA_NUMBERS },
};
