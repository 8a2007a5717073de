// Parts that families share: norms, activations, the views of q, k and v in one linear, and the head of classifiers.
import type { Activation, AttentionSpec, ClassifierSpec, Dropouts, ModelConfig, NormSpec } from "../../native/index.js";
import { LARGEST } from "../heads.js";
import type { ConfigKeys } from "../keys.js";
import type { FamilyNames } from "./family.js";

/** The names of GPT-2's model, which later models kept but for the embedding's. */
export const gptNames = (embedding: string): FamilyNames => ({
  base: "transformer.",
  embedding: `transformer.${embedding}.weight`,
  finalNorm: "transformer.ln_f.weight",
  head: "lm_head.weight",
  layers: "transformer.h.",
});

/** Every head its own key and value, over the whole text, without rotary positions. */
export function plainAttention({
  heads,
  headDim,
}: ModelConfig): Pick<AttentionSpec, "heads" | "kvHeads" | "headDim" | "kinds"> {
  return { heads, kvHeads: heads, headDim, kinds: [{ window: 0, rope: null }] };
}

/** The numbers of families with LayerNorm, beside their attention. */
export interface LayerNormConfig extends ModelConfig {
  eps: number;
  activation: Activation;
}

/** LayerNorm with a bias. */
export const layerNorm = (module: string, eps: number): NormSpec => {
  return { weight: `${module}.weight`, bias: `${module}.bias`, centred: true, eps };
};

/** The names of transformers' ACT2FN that are built. */
const ACTIVATIONS: Record<string, Activation> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
  silu: "silu",
  swish: "silu",
};

/** @throws LowrankError E_CONFIG_VALUE */
export function readActivation(keys: ConfigKeys, key: string, otherwise: string): Activation {
  return ACTIVATIONS[keys.only(key, Object.keys(ACTIVATIONS), otherwise)]!;
}

type Views = Pick<AttentionSpec, "q" | "k" | "v">;

/** All of q, all of k, all of v, in one linear. */
export function concatenated(heads: number, headDim: number): Views {
  const view = (part: number) => {
    return { linear: 0, offset: part * heads * headDim, groupStride: headDim, headStride: headDim };
  };
  return { q: view(0), k: view(1), v: view(2) };
}

/** The queries of a group, its key and its value after one another, in one linear. */
export function grouped(headsPerGroup: number, headDim: number): Views {
  const groupStride = (headsPerGroup + 2) * headDim;
  const view = (head: number) => ({ linear: 0, offset: head * headDim, groupStride, headStride: headDim });
  return { q: view(0), k: view(headsPerGroup), v: view(headsPerGroup + 1) };
}

/** q, k and v in linears of their own. */
export function separate(headDim: number, headsPerGroup = 1): Views {
  const view = (linear: number, heads = 1) => ({
    linear,
    offset: 0,
    groupStride: heads * headDim,
    headStride: headDim,
  });
  return { q: view(0, headsPerGroup), k: view(1), v: view(2) };
}

/** The keys with a family's own names in the place of their usual names, which count where both are given, as in transformers. */
export function withOwnNames(keys: ConfigKeys, names: Record<string, string>): ConfigKeys {
  const given = Object.entries(names).filter(([, usual]) => keys.given(usual));
  return keys.with(Object.fromEntries(given.map(([own, usual]) => [own, keys.json[usual]])));
}

/** ALiBi's slopes of each head (Press et al., 2022), rounded as transformers rounds them. */
export function alibiSlopes(heads: number): number[] {
  const near = 2 ** Math.floor(Math.log2(heads));
  const powers = (of: number, count: number, step: number) => {
    const base = Math.fround(2 ** -(2 ** -(Math.log2(of) - 3)));
    return Array.from({ length: count }, (_, i) => Math.fround(base ** (1 + i * step)));
  };
  return [...powers(near, near, 1), ...powers(2 * near, heads - near, 2)];
}

/** Hidden size and heads under a family's own names of the keys, each head the same share. @throws LowrankError E_CONFIG_VALUE */
export function readEqualHeads(keys: ConfigKeys, names = { hidden: "hidden_size", heads: "num_attention_heads" }) {
  const hiddenSize = keys.count(names.hidden, LARGEST);
  const heads = keys.count(names.heads, LARGEST);
  if (hiddenSize % heads !== 0) {
    throw keys.error(names.hidden, `${hiddenSize} is no multiple of ${names.heads} (${heads})`);
  }
  return { hiddenSize, heads, kvHeads: heads, headDim: hiddenSize / heads };
}

/** A dropout of the configuration. @throws LowrankError E_CONFIG_VALUE */
export function readDropout(keys: ConfigKeys, key: string, otherwise: number): number {
  return keys.json[key] === 0 ? 0 : keys.number(key, { above: 0, atMost: 0.999 }, otherwise);
}

/** The dropouts of the base by their keys; undefined where all are 0. @throws LowrankError E_CONFIG_VALUE */
export function readDropouts(
  keys: ConfigKeys,
  names: Partial<Record<keyof Dropouts, string>>,
  otherwise: Partial<Dropouts> | number = 0,
): Dropouts | undefined {
  const read = (part: keyof Dropouts) => {
    const key = names[part];
    return key === undefined
      ? 0
      : readDropout(keys, key, typeof otherwise === "number" ? otherwise : (otherwise[part] ?? 0));
  };
  const found = {
    embedding: read("embedding"),
    attention: read("attention"),
    attentionOutput: read("attentionOutput"),
    mlpOutput: read("mlpOutput"),
  };
  return Object.values(found).some((rate) => rate > 0) ? found : undefined;
}

/** The state of a text's last token through one linear, `score`: of decoders. */
export function scoreHead({ hiddenSize }: ModelConfig, labels: number): Pick<ClassifierSpec, "lastToken" | "layers"> {
  const linear = { module: "score", out: labels, in: hiddenSize };
  return { lastToken: true, layers: [{ linear, function: "none", dropout: 0 }] };
}
