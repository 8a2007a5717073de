// Gemma 3, text alone: Gemma 2's block without caps, with norms of q and k, and another rope in the layers with a window (Kamath et al., 2025).
import type { RopeSpec } from "../../native/index.js";
import { kindsOf } from "../attention-kinds.js";
import type { ConfigKeys } from "../keys.js";
import { readRopeSection } from "../rope.js";
import type { Family } from "./family.js";
import { gemma, readGemmaNumbers } from "./gemma.js";
import { ggufScale, readGemmaScales, readGemmaWindows, sandwichBlock } from "./gemma2.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { type LlamaConfig, llama, withHeadNorms } from "./llama.js";
import { scoreHead } from "./parts.js";

const NO_KEYS = { rope_parameters: undefined, rope_scaling: undefined, rope_theta: undefined };

/** The rope of one type of layers. Keys of older configurations: rope_scaling is that of full layers alone. */
function readLayerRope(keys: ConfigKeys, type: "full_attention" | "sliding_attention", maxPositions: number): RopeSpec {
  const full = type === "full_attention";
  const parameters = keys.within("rope_parameters");
  const flat = Object.keys(parameters?.json ?? {}).find((key) => !key.endsWith("_attention"));
  if (flat !== undefined)
    throw parameters!.error(flat, "expected full_attention and sliding_attention, each with its rope");
  const section = parameters?.within(type) ?? keys.empty(`rope_parameters.${type}.`);
  const scaling = full ? keys.within("rope_scaling") : null;
  const theta = full
    ? keys.number("rope_theta", { above: 0 }, 1_000_000)
    : keys.number("rope_local_base_freq", { above: 0 }, 10_000);
  const used = scaling ? section.with(scaling.json) : section;
  const rope = readRopeSection(used, keys.with(NO_KEYS), { maxPositions, theta });
  return { theta: rope.ropeTheta, scaling: rope.ropeScaling };
}

export const gemma3: Family = {
  modelType: "gemma3_text",
  names: llama.names,
  // The defaults of transformers' Gemma3TextConfig.
  readConfig(keys, warn) {
    if (keys.given("attn_logit_softcapping"))
      throw keys.error("attn_logit_softcapping", "caps of scores are not supported");
    const activation: [string, string] = ["hidden_activation", "gelu_pytorch_tanh"];
    const defaults = { positions: 131_072, kvHeads: 4, activation };
    const numbers = readGemmaNumbers(keys.with(NO_KEYS), warn, defaults);
    const every = keys.count("sliding_window_pattern", 100_000, 6);
    const windows = readGemmaWindows(keys, numbers.layers, (layer) =>
      (layer + 1) % every ? "sliding_attention" : "full_attention",
    );
    const full = readLayerRope(keys, "full_attention", numbers.maxPositions);
    const sliding = readLayerRope(keys, "sliding_attention", numbers.maxPositions);
    return {
      ...numbers,
      ropeTheta: full.theta,
      ropeScaling: full.scaling,
      ...kindsOf(windows.map((window) => ({ window, rope: window > 0 ? sliding : full }))),
      ...readGemmaScales(keys, 0),
    };
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => withHeadNorms(sandwichBlock(config), config),
  classifier: scoreHead,
  targets: gemma.targets,
  tokenizer: { begins: true },
  gguf: {
    architecture: "gemma3",
    numbers: {
      ...LLAMA_NUMBERS,
      rope_local_base_freq: "rope.freq_base_swa",
      sliding_window: "attention.sliding_window",
      final_logit_softcapping: "final_logit_softcapping",
    },
    others: ({ config }) => ggufScale(config, 62),
    wholeNorms: true,
  },
};
