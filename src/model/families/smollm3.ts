// SmolLM3: LLaMA's block, without rotary positions in every fourth layer (Bakouch et al., 2025).
import { kindsOf, readLayerTypes, readWindow, windowsOf } from "../attention-kinds.js";
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { llama, readLlamaNumbers } from "./llama.js";
import { scoreHead } from "./parts.js";

export const smollm3: Family = {
  modelType: "smollm3",
  names: llama.names,
  // The defaults of transformers' SmolLM3Config.
  readConfig(keys, warn) {
    const numbers = readLlamaNumbers(keys, warn, { positions: 32768, kvHeads: 4, tied: true, theta: 2_000_000 });
    const { layers, ropeTheta: theta, ropeScaling: scaling } = numbers;
    const interval = keys.count("no_rope_layer_interval", 100_000, 4);
    const isFlag = (v: unknown): v is number => v === 0 || v === 1;
    const rotates = keys.given("no_rope_layers")
      ? keys.list("no_rope_layers", "0 or 1", isFlag, layers)
      : Array.from({ length: layers }, (_, layer) => ((layer + 1) % interval === 0 ? 0 : 1));
    const window = readWindow(keys, 0);
    const slides = keys.flag("use_sliding_window", false) && window > 0;
    const types = readLayerTypes(keys, layers, (layer) =>
      slides && !rotates[layer] ? "sliding_attention" : "full_attention",
    );
    const windows = windowsOf(keys, types, window);
    const kinds = windows.map((each, layer) => ({ window: each, rope: rotates[layer] ? { theta, scaling } : null }));
    const [attentionBias, mlpBias] = [keys.flag("attention_bias", false), keys.flag("mlp_bias", false)];
    return { ...numbers, ...kindsOf(kinds), attentionBias, mlpBias };
  },
  outside: llama.outside,
  block: llama.block,
  classifier: scoreHead,
  targets: llama.targets,
  gguf: { architecture: "smollm3", numbers: LLAMA_NUMBERS, interleaved: true },
};
