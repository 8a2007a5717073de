// GPT-Neo: GPT-2's block with plain linears and scores that are not scaled; some layers have a window (Black et al., 2021).
import type { BlockSpec } from "../../native/index.js";
import { type AttentionKinds, kindsOf } from "../attention-kinds.js";
import { LARGEST } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import type { Family } from "./family.js";
import {
  gptNames,
  type LayerNormConfig,
  layerNorm,
  readActivation,
  readDropouts,
  readEqualHeads,
  scoreHead,
  separate,
  withOwnNames,
} from "./parts.js";

type NeoConfig = LayerNormConfig & AttentionKinds;

function block(config: NeoConfig): BlockSpec {
  const { hiddenSize: dim, heads, kvHeads, headDim, intermediateSize: mlp, eps, activation, layerKinds } = config;
  const linear = (module: string, out: number, inputs: number, bias: boolean) => ({ module, out, in: inputs, bias });
  return {
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: 1,
      kinds: config.attentionKinds,
      ...(layerKinds && { layerKinds }),
      norm: layerNorm("ln_1", eps),
      inputs: ["q_proj", "k_proj", "v_proj"].map((name) => linear(`attn.attention.${name}`, dim, dim, false)),
      ...separate(headDim),
      out: linear("attn.attention.out_proj", dim, dim, true),
    },
    mlp: {
      norm: layerNorm("ln_2", eps),
      inputs: [linear("mlp.c_fc", mlp, dim, true)],
      down: linear("mlp.c_proj", dim, mlp, true),
      activation,
    },
  };
}

/** The kind of each layer: attention_types has lists of kinds, each with the number of its repetitions. */
function readTypes(keys: ConfigKeys, layers: number): string[] {
  const isKind = (v: unknown) => v === "global" || v === "local";
  const isEntry = (v: unknown): v is [string[], number] =>
    Array.isArray(v) && v.length === 2 && Array.isArray(v[0]) && v[0].every(isKind) && Number.isInteger(v[1]);
  const entries: [string[], number][] = keys.given("attention_types")
    ? keys.list("attention_types", "kinds (global, local) and their repetitions", isEntry)
    : [[["global", "local"], 12]];
  const types = entries.flatMap(([kinds, times]) => Array.from({ length: times }, () => kinds).flat());
  if (types.length === layers) return types;
  throw keys.error("attention_types", `${types.length} layers have a kind, expected num_layers (${layers})`);
}

export const gptNeo: Family = {
  modelType: "gpt_neo",
  names: gptNames("wte"),
  // The defaults of transformers' GPTNeoConfig.
  readConfig(given) {
    const keys = withOwnNames(given, { num_heads: "num_attention_heads", num_layers: "num_hidden_layers" });
    const heads = readEqualHeads(keys, { hidden: "hidden_size", heads: "num_heads" });
    const layers = keys.count("num_layers", 100_000);
    const window = keys.count("window_size", 2 ** 31, 256);
    const kinds = kindsOf(
      readTypes(keys, layers).map((type) => ({ window: type === "local" ? window : 0, rope: null })),
    );
    const config: Omit<NeoConfig, "modelType"> = {
      vocabSize: keys.count("vocab_size", LARGEST),
      ...heads,
      intermediateSize: keys.count("intermediate_size", LARGEST, 4 * heads.hiddenSize),
      layers,
      dropouts: readDropouts(keys, {
        embedding: "embed_dropout",
        attention: "attention_dropout",
        attentionOutput: "resid_dropout",
        mlpOutput: "resid_dropout",
      }),
      maxPositions: keys.count("max_position_embeddings", 2 ** 31, 2048),
      tieWordEmbeddings: keys.flag("tie_word_embeddings", true),
      eps: keys.number("layer_norm_epsilon", { above: 0, atMost: 1 }, 1e-5),
      activation: readActivation(keys, "activation_function", "gelu_new"),
      ...kinds,
    };
    return config;
  },
  outside: ({ maxPositions, eps }: NeoConfig) => ({
    positions: { weight: "transformer.wpe.weight", rows: maxPositions, offset: 0 },
    finalNorm: layerNorm("transformer.ln_f", eps),
  }),
  block,
  classifier: scoreHead,
  targets: ["q_proj", "v_proj", "k_proj", "out_proj"],
};
