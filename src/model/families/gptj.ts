// GPT-J: attention and MLP of one norm side by side, neighbouring columns rotate in part of a head (Wang & Komatsuzaki, 2021).
import type { BlockSpec } from "../../native/index.js";
import type { Family } from "./family.js";
import { readGpt2Numbers } from "./gpt2.js";
import { type AttentionConfig, attentionOf } from "./llama.js";
import { gptNames, type LayerNormConfig, layerNorm, scoreHead, separate } from "./parts.js";

type GptjConfig = LayerNormConfig & AttentionConfig;

function block(config: GptjConfig): BlockSpec {
  const { hiddenSize: dim, headDim, intermediateSize: mlp, eps, activation } = config;
  return {
    attention: {
      ...attentionOf(config),
      interleaved: true,
      norm: layerNorm("ln_1", eps),
      inputs: ["q_proj", "k_proj", "v_proj"].map((name) => ({ module: `attn.${name}`, out: dim, in: dim })),
      ...separate(headDim),
      out: { module: "attn.out_proj", out: dim, in: dim },
    },
    mlp: {
      norm: null,
      inputs: [{ module: "mlp.fc_in", out: mlp, in: dim, bias: true }],
      down: { module: "mlp.fc_out", out: dim, in: mlp, bias: true },
      activation,
    },
    parallel: true,
  };
}

export const gptj: Family = {
  modelType: "gptj",
  names: gptNames("wte"),
  readConfig(keys): Omit<GptjConfig, "modelType"> {
    // The defaults of transformers' GPTJConfig.
    const numbers = readGpt2Numbers(keys, { dropout: 0, positions: 2048, tied: false });
    const rotaryDim = keys.count("rotary_dim", numbers.headDim, 64);
    if (rotaryDim % 2 !== 0) throw keys.error("rotary_dim", `expected an even number, found ${rotaryDim}`);
    return { ...numbers, ropeTheta: 10_000, ropeScaling: null, rotaryDim };
  },
  outside: ({ eps }: GptjConfig) => ({ finalNorm: layerNorm("transformer.ln_f", eps), headBias: "lm_head.bias" }),
  block,
  classifier: scoreHead,
  targets: ["q_proj", "v_proj"],
};
