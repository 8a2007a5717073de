// Cohere's Command R: LLaMA's linears side by side after one LayerNorm without a bias, neighbouring columns rotate, scaled logits.
import type { BlockSpec, NormSpec } from "../../native/index.js";
import type { ConfigKeys } from "../keys.js";
import type { Warn } from "../warn.js";
import type { Family } from "./family.js";
import { LAYER_NORM_NUMBERS } from "./gguf.js";
import { type LlamaConfig, type LlamaDefaults, llama, llamaBlock, readLlamaNumbers } from "./llama.js";

interface CohereConfig extends LlamaConfig {
  headNorms?: boolean;
}

function norm({ rmsNormEps: eps }: LlamaConfig, weight: string): NormSpec {
  return { weight, centred: true, eps };
}

function block(config: CohereConfig): BlockSpec {
  const bias = config.attentionBias;
  const { attention, mlp } = llamaBlock(config, { qkv: bias, out: bias, mlp: false });
  return {
    attention: {
      ...attention,
      interleaved: true,
      norm: norm(config, "input_layernorm.weight"),
      ...(config.headNorms && {
        qNorm: norm(config, "self_attn.q_norm.weight"),
        kNorm: norm(config, "self_attn.k_norm.weight"),
        normEach: true,
      }),
    },
    mlp: { ...mlp, norm: null },
    parallel: true,
  };
}

/** The numbers of both generations. */
export function readCohereNumbers(keys: ConfigKeys, warn: Warn, defaults: Partial<LlamaDefaults>) {
  const own = keys.with({ rms_norm_eps: keys.json.layer_norm_eps });
  return {
    ...readLlamaNumbers(own, warn, { positions: 8192, eps: 1e-5, tied: true, ...defaults }),
    attentionBias: keys.flag("attention_bias", false),
    mlpBias: false,
    logitScale: keys.number("logit_scale", { above: 0 }, 0.0625),
  };
}

export const cohere: Family = {
  modelType: "cohere",
  names: llama.names,
  // The defaults of transformers' CohereConfig.
  readConfig(keys, warn) {
    return { ...readCohereNumbers(keys, warn, { theta: 500_000 }), headNorms: keys.flag("use_qk_norm", false) };
  },
  outside: (config: CohereConfig) => ({
    finalNorm: { ...norm(config, llama.names.finalNorm), factor: config.logitScale ?? 1 },
  }),
  block,
  targets: llama.targets,
  gguf: {
    architecture: "command-r",
    numbers: {
      ...LAYER_NORM_NUMBERS,
      logit_scale: "logit_scale",
    },
    others: ({ has }) => ({ use_qk_norm: has("blk.0.attn_q_norm.weight") }),
  },
};
