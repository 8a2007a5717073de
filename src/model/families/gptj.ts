// GPT-J: attention and MLP of one norm side by side, neighbouring columns rotate in part of a head (Wang & Komatsuzaki, 2021).
import type { BlockSpec } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { Family } from "./family.js";
import { type AttentionConfig, attentionOf } from "./llama.js";
import {
  type LayerNormConfig,
  layerNorm,
  readActivation,
  readEqualHeads,
  separate,
  warnOfDropout,
  withOwnNames,
} from "./parts.js";

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
  names: {
    base: "transformer.",
    embedding: "transformer.wte.weight",
    finalNorm: "transformer.ln_f.weight",
    head: "lm_head.weight",
    layers: "transformer.h.",
  },
  // The defaults of transformers' GPTJConfig.
  readConfig(given, warn) {
    const keys = withOwnNames(given, {
      n_embd: "hidden_size",
      n_positions: "max_position_embeddings",
      n_head: "num_attention_heads",
      n_layer: "num_hidden_layers",
    });
    warnOfDropout(keys, warn, ["resid_pdrop", "embd_pdrop", "attn_pdrop"]);
    const heads = readEqualHeads(keys, { hidden: "n_embd", heads: "n_head" });
    const rotaryDim = keys.count("rotary_dim", heads.headDim, 64);
    if (rotaryDim % 2 !== 0) throw keys.error("rotary_dim", `expected an even number, found ${rotaryDim}`);
    const config: Omit<GptjConfig, "modelType"> = {
      vocabSize: keys.count("vocab_size", LARGEST),
      ...heads,
      intermediateSize: keys.count("n_inner", LARGEST, 4 * heads.hiddenSize),
      layers: keys.count("n_layer", 100_000),
      maxPositions: keys.count("n_positions", 2 ** 31, 2048),
      tieWordEmbeddings: keys.flag("tie_word_embeddings", false),
      eps: keys.number("layer_norm_epsilon", { above: 0, atMost: 1 }, 1e-5),
      activation: readActivation(keys, "activation_function", "gelu_new"),
      ropeTheta: 10_000,
      ropeScaling: null,
      rotaryDim,
    };
    return config;
  },
  outside: ({ eps }: GptjConfig) => ({ finalNorm: layerNorm("transformer.ln_f", eps), headBias: "lm_head.bias" }),
  block,
  targets: ["q_proj", "v_proj"],
};
