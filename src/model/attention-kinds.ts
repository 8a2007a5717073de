// Layers that see other keys or rotate otherwise: windows and kinds of attention from the keys that most families share.
import type { AttentionKind } from "../native/index.js";
import type { ConfigKeys } from "./keys.js";
import type { Rope } from "./rope.js";

/** Windows and ropes, where not every layer sees all keys and rotates alike. */
export interface AttentionKinds {
  attentionKinds: AttentionKind[];
  /** Each layer's kind; default: the first. */
  layerKinds?: number[];
}

const LAYER_TYPES = ["full_attention", "sliding_attention"] as const;
export type LayerType = (typeof LAYER_TYPES)[number];

/**
 * Keys that a query sees at most, 0 where it sees all before it: null in config.json means so.
 * @param otherwise where the key is absent
 */
export function readWindow(keys: ConfigKeys, otherwise: number): number {
  if (keys.json.sliding_window === undefined) return otherwise;
  return keys.given("sliding_window") ? keys.count("sliding_window", 2 ** 31) : 0;
}

/** layer_types, or where it is absent the family's rule. */
export function readLayerTypes(keys: ConfigKeys, layers: number, rule: (layer: number) => LayerType): LayerType[] {
  if (!keys.given("layer_types")) return Array.from({ length: layers }, (_, layer) => rule(layer));
  const isType = (v: unknown): v is LayerType => LAYER_TYPES.includes(v as LayerType);
  return keys.list("layer_types", `${LAYER_TYPES.join(" or ")}`, isType, layers);
}

/** The window of each layer. @throws LowrankError E_CONFIG_VALUE where a layer slides without a window */
export function windowsOf(keys: ConfigKeys, types: LayerType[], window: number): number[] {
  if (window === 0 && types.includes("sliding_attention")) {
    throw keys.error("layer_types", "a layer is sliding_attention, but there is no sliding_window");
  }
  return types.map((type) => (type === "sliding_attention" ? window : 0));
}

/** The distinct kinds of the layers' attention, and each layer's number among them. */
export function kindsOf(layers: AttentionKind[]): AttentionKinds {
  const texts = layers.map((kind) => JSON.stringify(kind));
  const distinct = [...new Set(texts)];
  const attentionKinds = distinct.map((text) => layers[texts.indexOf(text)]!);
  return distinct.length === 1
    ? { attentionKinds }
    : { attentionKinds, layerKinds: texts.map((text) => distinct.indexOf(text)) };
}

/** Kinds that differ in their windows only. */
export function windowKinds(
  windows: number[],
  { ropeTheta: theta, ropeScaling: scaling }: Rope,
): Partial<AttentionKinds> {
  if (windows.every((window) => window === 0)) return {};
  return kindsOf(windows.map((window) => ({ window, rope: { theta, scaling } })));
}
