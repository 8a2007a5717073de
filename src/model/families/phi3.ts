// Phi-3 and Phi-4: LLaMA's block with q, k and v in one linear and gate and up in another (Abdin et al., 2024).
import { readWindow, windowKinds } from "../attention-kinds.js";
import type { ConfigKeys } from "../keys.js";
import type { Family } from "./family.js";
import { LLAMA_NUMBERS } from "./gguf.js";
import { attentionOf, type LlamaConfig, llama, readLlamaNumbers, rmsNorm } from "./llama.js";
import { readDropouts, scoreHead } from "./parts.js";

/** Phi-3's first configurations call longrope su, and yarn means longrope there, too. */
function withLongrope(keys: ConfigKeys): ConfigKeys {
  const renamed = ["rope_scaling", "rope_parameters"].flatMap((key) => {
    const section = keys.within(key)?.json;
    const type = section?.rope_type ?? section?.type;
    return type === "su" || type === "yarn" ? [[key, { ...section, rope_type: "longrope", type: "longrope" }]] : [];
  });
  return keys.with({
    original_max_position_embeddings: keys.json.original_max_position_embeddings ?? 4096,
    ...Object.fromEntries(renamed),
  });
}

export const phi3: Family = {
  modelType: "phi3",
  names: llama.names,
  // The defaults of transformers' Phi3Config.
  readConfig(keys, warn) {
    const defaults = { positions: 4096, eps: 1e-5, partialRotary: 1 };
    const numbers = readLlamaNumbers(withLongrope(keys), warn, defaults);
    const windows = Array.from({ length: numbers.layers }, () => readWindow(keys, 0));
    // transformers reads embd_pdrop nowhere.
    const dropouts = readDropouts(keys, {
      attention: "attention_dropout",
      attentionOutput: "resid_pdrop",
      mlpOutput: "resid_pdrop",
    });
    return { ...numbers, ...windowKinds(windows, numbers), dropouts, attentionBias: false, mlpBias: false };
  },
  outside: llama.outside,
  block: (config: LlamaConfig) => {
    const { hiddenSize: dim, intermediateSize: mlp, heads, kvHeads, headDim } = config;
    const [q, kv] = [heads * headDim, kvHeads * headDim];
    const head = { linear: 0, groupStride: headDim, headStride: headDim };
    return {
      attention: {
        ...attentionOf(config),
        norm: rmsNorm(config, "input_layernorm.weight"),
        inputs: [{ module: "self_attn.qkv_proj", out: q + 2 * kv, in: dim }],
        q: { ...head, offset: 0, groupStride: q / kvHeads },
        k: { ...head, offset: q },
        v: { ...head, offset: q + kv },
        out: { module: "self_attn.o_proj", out: dim, in: q },
      },
      mlp: {
        norm: rmsNorm(config, "post_attention_layernorm.weight"),
        inputs: [{ module: "mlp.gate_up_proj", out: 2 * mlp, in: dim }],
        down: { module: "mlp.down_proj", out: dim, in: mlp },
        activation: config.activation,
      },
    };
  },
  classifier: scoreHead,
  targets: ["qkv_proj", "o_proj"],
  tokenizer: { asStored: true, begins: true },
  gguf: {
    architecture: "phi3",
    numbers: {
      ...LLAMA_NUMBERS,
      partial_rotary_factor: "rope.dimension_count",
      sliding_window: "attention.sliding_window",
    },
  },
};
