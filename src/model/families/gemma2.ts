// Gemma 2: norms before and after each part, soft-capped scores and logits, every second layer with a window (Riviere et al., 2024).
import type { BlockSpec } from "../../native/index.js";
import { type LayerType, readLayerTypes, readWindow, windowKinds, windowsOf } from "../attention-kinds.js";
import type { ConfigKeys } from "../keys.js";
import type { Family } from "./family.js";
import { gemma, readGemmaNumbers } from "./gemma.js";
import { type GgufFacts, LLAMA_NUMBERS } from "./gguf.js";
import { type LlamaConfig, llama, rmsNorm } from "./llama.js";
import { scoreHead } from "./parts.js";

/** Gemma's block with a norm of each part's output, too. */
export function sandwichBlock(config: LlamaConfig): BlockSpec {
  const { attention, mlp } = gemma.block(config);
  return {
    attention: { ...attention, residual: { norm: rmsNorm(config, "post_attention_layernorm.weight") } },
    mlp: {
      ...mlp,
      norm: rmsNorm(config, "pre_feedforward_layernorm.weight"),
      residual: { norm: rmsNorm(config, "post_feedforward_layernorm.weight") },
    },
  };
}

/** The keys of Gemma 2 that Gemma 3 shares: scale of the scores, caps of the logits. */
export function readGemmaScales(keys: ConfigKeys, logitCap: number): Pick<LlamaConfig, "attentionScale" | "logitCap"> {
  return {
    attentionScale: keys.number("query_pre_attn_scalar", { above: 0 }, 256) ** -0.5,
    logitCap: readCap(keys, "final_logit_softcapping", logitCap),
  };
}

/** null is no cap. */
function readCap(keys: ConfigKeys, key: string, otherwise: number): number {
  if (keys.json[key] === undefined) return otherwise;
  return keys.given(key) ? keys.number(key, { above: 0 }) : 0;
}

/** query_pre_attn_scalar as llama.cpp takes it: the width of a head, or in the model of 27B, which it tells by the layers, the share of one. */
export function ggufScale({ num_hidden_layers, head_dim, ...config }: GgufFacts["config"], layersOf27B: number) {
  const share = Number(config.hidden_size) / Number(config.num_attention_heads);
  return { query_pre_attn_scalar: num_hidden_layers === layersOf27B ? share : head_dim };
}

/** The window of each layer, by layer_types. */
export function readGemmaWindows(keys: ConfigKeys, layers: number, rule: (layer: number) => LayerType): number[] {
  return windowsOf(keys, readLayerTypes(keys, layers, rule), readWindow(keys, 4096));
}

export const gemma2: Family = {
  modelType: "gemma2",
  names: llama.names,
  // The defaults of transformers' Gemma2Config.
  readConfig(keys, warn) {
    const activation: [string, string] = ["hidden_activation", "gelu_pytorch_tanh"];
    const numbers = readGemmaNumbers(keys, warn, { positions: 8192, kvHeads: 4, activation });
    const windows = readGemmaWindows(keys, numbers.layers, (layer) =>
      layer % 2 === 0 ? "sliding_attention" : "full_attention",
    );
    return {
      ...numbers,
      ...windowKinds(windows, numbers),
      ...readGemmaScales(keys, 30),
      attentionCap: readCap(keys, "attn_logit_softcapping", 50),
    };
  },
  outside: llama.outside,
  block: sandwichBlock,
  classifier: scoreHead,
  targets: gemma.targets,
  tokenizer: { begins: true },
  gguf: {
    architecture: "gemma2",
    numbers: {
      ...LLAMA_NUMBERS,
      sliding_window: "attention.sliding_window",
      attn_logit_softcapping: "attn_logit_softcapping",
      final_logit_softcapping: "final_logit_softcapping",
    },
    others: ({ config }) => ggufScale(config, 46),
    wholeNorms: true,
  },
};
