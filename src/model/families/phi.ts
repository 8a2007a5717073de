// Phi-1 and Phi-2: attention and MLP of one norm side by side, part of a head rotates, biases everywhere (Gunasekar et al., 2023).
import type { BlockSpec, ModelConfig } from "../../native/index.js";
import { LARGEST, readHeads } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import { readRope } from "../rope.js";
import type { Warn } from "../warn.js";
import type { Family } from "./family.js";
import { LAYER_NORM_NUMBERS } from "./gguf.js";
import { type AttentionConfig, attentionOf, rotaryPart } from "./llama.js";
import { type LayerNormConfig, layerNorm, readActivation, readDropouts, scoreHead, separate } from "./parts.js";

interface PhiConfig extends LayerNormConfig, AttentionConfig {
  headNorms: boolean;
}

function block(config: PhiConfig): BlockSpec {
  const { hiddenSize: dim, heads, kvHeads, headDim, intermediateSize: mlp, eps, activation } = config;
  const linear = (module: string, out: number, inputs: number) => ({ module, out, in: inputs, bias: true });
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  return {
    attention: {
      ...attentionOf(config),
      norm: layerNorm("input_layernorm", eps),
      inputs: [
        linear("self_attn.q_proj", q, dim),
        linear("self_attn.k_proj", kv, dim),
        linear("self_attn.v_proj", kv, dim),
      ],
      ...separate(headDim, heads / kvHeads),
      out: linear("self_attn.dense", dim, q),
      ...(config.headNorms && {
        qNorm: layerNorm("self_attn.q_layernorm", eps),
        kNorm: layerNorm("self_attn.k_layernorm", eps),
      }),
    },
    mlp: { norm: null, inputs: [linear("mlp.fc1", mlp, dim)], down: linear("mlp.fc2", dim, mlp), activation },
    parallel: true,
  };
}

/** The numbers of Phi, which GPT-NeoX has under the same keys. @throws LowrankError E_CONFIG_VALUE */
export function readRotaryNumbers(
  keys: ConfigKeys,
  warn: Warn,
  heads: Pick<ModelConfig, "hiddenSize" | "heads" | "kvHeads" | "headDim">,
  defaults: { mlp: number; activation: string; partialRotary: number },
): Omit<LayerNormConfig & AttentionConfig, "modelType"> {
  const maxPositions = keys.count("max_position_embeddings", 2 ** 31, 2048);
  return {
    vocabSize: keys.count("vocab_size", LARGEST),
    ...heads,
    intermediateSize: keys.count("intermediate_size", LARGEST, defaults.mlp),
    layers: keys.count("num_hidden_layers", 100_000),
    maxPositions,
    tieWordEmbeddings: keys.flag("tie_word_embeddings", false),
    eps: keys.number("layer_norm_eps", { above: 0, atMost: 1 }, 1e-5),
    activation: readActivation(keys, "hidden_act", defaults.activation),
    ...rotaryPart(keys, heads.headDim, readRope(keys, { maxPositions, partialRotary: defaults.partialRotary }, warn)),
  };
}

export const phi: Family = {
  modelType: "phi",
  names: {
    base: "model.",
    embedding: "model.embed_tokens.weight",
    finalNorm: "model.final_layernorm.weight",
    head: "lm_head.weight",
    layers: "model.layers.",
  },
  // The defaults of transformers' PhiConfig.
  readConfig(keys, warn): Omit<PhiConfig, "modelType"> {
    const dropouts = readDropouts(keys, {
      embedding: "embd_pdrop",
      attention: "attention_dropout",
      attentionOutput: "resid_pdrop",
      mlpOutput: "resid_pdrop",
    });
    const defaults = { mlp: 8192, activation: "gelu_new", partialRotary: 0.5 };
    const numbers = readRotaryNumbers(keys, warn, readHeads(keys), defaults);
    return { ...numbers, dropouts, headNorms: keys.flag("qk_layernorm", false) };
  },
  outside: ({ eps }: PhiConfig) => ({ finalNorm: layerNorm("model.final_layernorm", eps), headBias: "lm_head.bias" }),
  block,
  classifier: scoreHead,
  targets: ["q_proj", "v_proj", "fc1", "fc2"],
  gguf: {
    architecture: "phi2",
    numbers: {
      ...LAYER_NORM_NUMBERS,
      partial_rotary_factor: "rope.dimension_count",
    },
  },
};
