// Rotary positions are spelled in three ways: `rope_scaling` with `type`, the same with `rope_type`, and transformers 5's
// `rope_parameters`; `rope_theta` stands in one of these, or beside them. Of several the one counts that transformers 5 takes.

import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import type { RopeScaling } from "../native/index.js";
import type { ConfigKeys } from "./keys.js";
import type { Warn } from "./warn.js";

const DEFAULT_THETA = 10_000;

export interface Rope {
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
}

/** `partial`: the share of a head's columns that rotates. */
export type PartialRope = Rope & { partial: number };

/** What a family has beside the keys. */
export interface RopeDefaults {
  maxPositions: number;
  /** rope_theta, where it is absent. */
  theta?: number | undefined;
  /** partial_rotary_factor, where it is absent; undefined: the family rotates whole heads. */
  partialRotary?: number | undefined;
}

/** The keys that a kind of scaling is read from. */
interface RopePlace {
  keys: ConfigKeys;
  /** The configuration's own keys. */
  whole: ConfigKeys;
  maxPositions: number;
  defaults: RopeDefaults;
}
type Reader = (place: RopePlace) => RopeScaling | null;

const factor = (keys: ConfigKeys) => keys.number("factor", { above: 0 });

/** One row per kind of scaling. */
const READERS: Record<string, Reader> = {
  default: () => null,
  linear: ({ keys }) => ({ type: "linear", factor: factor(keys) }),
  // transformers takes max_position_embeddings for the trained length, whatever original_max_position_embeddings says.
  dynamic: ({ keys, maxPositions }) => ({ type: "dynamic", factor: factor(keys), originalMaxPositions: maxPositions }),
  llama3: ({ keys, whole, maxPositions }) => {
    const lowFreqFactor = keys.number("low_freq_factor", { above: 0 });
    const highFreqFactor = keys.number("high_freq_factor", { above: 0 });
    if (highFreqFactor <= lowFreqFactor) {
      throw keys.error(
        "high_freq_factor",
        `expected more than low_freq_factor (${lowFreqFactor}), found ${highFreqFactor}`,
      );
    }
    const originalMaxPositions = readTrained(keys, whole, maxPositions);
    return { type: "llama3", factor: factor(keys), lowFreqFactor, highFreqFactor, originalMaxPositions };
  },
  yarn: ({ keys, whole, maxPositions }) => {
    const originalMaxPositions = readTrained(keys, whole, maxPositions);
    const stretch = keys.given("factor") ? factor(keys) : maxPositions / originalMaxPositions;
    return {
      type: "yarn",
      factor: stretch,
      originalMaxPositions,
      attentionFactor: keys.given("attention_factor") ? positive(keys, "attention_factor") : yarnFactor(keys, stretch),
      betaFast: positive(keys, "beta_fast", 32),
      betaSlow: positive(keys, "beta_slow", 1),
      truncate: keys.flag("truncate", true),
    };
  },
  longrope: ({ keys, whole, maxPositions }) => {
    const originalMaxPositions = readTrained(keys, whole, maxPositions);
    const stretch = keys.given("factor") ? factor(keys) : maxPositions / originalMaxPositions;
    const usual = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(originalMaxPositions));
    const list = (key: string) => keys.list(key, "numbers above 0", (v): v is number => typeof v === "number" && v > 0);
    return {
      type: "longrope",
      originalMaxPositions,
      attentionFactor: positive(keys, "attention_factor", usual),
      shortFactors: list("short_factor"),
      longFactors: list("long_factor"),
    };
  },
};

const positive = (keys: ConfigKeys, key: string, otherwise?: number) => keys.number(key, { above: 0 }, otherwise);

function readTrained(keys: ConfigKeys, whole: ConfigKeys, maxPositions: number): number {
  const key = "original_max_position_embeddings";
  return (whole.given(key) ? whole : keys).count(key, 2 ** 31, maxPositions);
}

/** The factor of cos and sin that YaRN's authors found (Peng et al., 2023), as transformers takes it. */
function yarnFactor(keys: ConfigKeys, stretch: number): number {
  const factorOf = (scale: number) => (stretch <= 1 ? 1 : 0.1 * scale * Math.log(stretch) + 1);
  if (!keys.json.mscale || !keys.json.mscale_all_dim) return factorOf(1);
  return factorOf(positive(keys, "mscale")) / factorOf(positive(keys, "mscale_all_dim"));
}

/** @throws LowrankError E_CONFIG_VALUE */
export function readRope(whole: ConfigKeys, defaults: RopeDefaults, warn: Warn): PartialRope {
  const places = ["rope_scaling", "rope_parameters"].flatMap((key) => {
    const keys = whole.within(key);
    return keys && Object.keys(keys.json).length > 0
      ? [{ keys, whole, maxPositions: defaults.maxPositions, defaults }]
      : [];
  });
  const [used, other] = places;
  const partial = readPartial(whole, defaults.partialRotary, defaults);
  if (!used) return { ropeTheta: readTheta(whole, defaults), ropeScaling: null, partial };
  const rope = readPlace(used);
  if (other && JSON.stringify(rope) !== JSON.stringify(tryPlace(other))) {
    warn(`${whole.file}: rope_scaling and rope_parameters differ. rope_scaling counts, as in transformers 5.`);
  }
  warnOfContradictions(used, warn);
  return rope;
}

const readTheta = (keys: ConfigKeys, { theta = DEFAULT_THETA }: RopeDefaults) => positive(keys, "rope_theta", theta);

function readPartial(keys: ConfigKeys, otherwise: number | undefined, { partialRotary }: RopeDefaults): number {
  if (partialRotary === undefined) return keys.only("partial_rotary_factor", [1], 1);
  return keys.number("partial_rotary_factor", { above: 0, atMost: 1 }, otherwise ?? partialRotary);
}

/** The rope of one section, as rope_parameters is one or has one for a type of layers. */
export function readRopeSection(keys: ConfigKeys, whole: ConfigKeys, defaults: RopeDefaults): PartialRope {
  return readPlace({ keys, whole, maxPositions: defaults.maxPositions, defaults });
}

function readPlace(place: RopePlace): PartialRope {
  const { keys, whole, defaults } = place;
  const partial = readPartial(keys, readPartial(whole, undefined, defaults), defaults);
  const nested = Object.keys(keys.json).find((key) => isObject(keys.json[key]));
  if (nested !== undefined) throw keys.error(nested, "settings of one type of layers are not supported");
  return {
    ropeTheta: readTheta(keys.given("rope_theta") ? keys : whole, defaults),
    ropeScaling: readScaling(place),
    partial,
  };
}

/** A section that does not count may be wrong. */
function tryPlace(place: RopePlace): PartialRope | undefined {
  try {
    return readPlace(place);
  } catch (error) {
    if (error instanceof LowrankError) return undefined;
    throw error;
  }
}

function readScaling(place: RopePlace): RopeScaling | null {
  const { keys } = place;
  const key = keys.given("rope_type") || !keys.given("type") ? "rope_type" : "type";
  const type = keys.json[key] ?? "default";
  const reader = typeof type === "string" && Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (reader) return reader(place);
  throw keys.error(key, `${JSON.stringify(type)} is not supported. Supported: ${Object.keys(READERS).join(", ")}`);
}

function warnOfContradictions({ keys, whole }: RopePlace, warn: Warn): void {
  const compare = ([counts, key]: [ConfigKeys, string], [other, otherKey]: [ConfigKeys, string]) => {
    if (!counts.given(key) || !other.given(otherKey) || counts.json[key] === other.json[otherKey]) return;
    const name = counts.prefix + key;
    const values = `${name} is ${JSON.stringify(counts.json[key])}, ${other.prefix}${otherKey} is ${JSON.stringify(other.json[otherKey])}`;
    warn(`${whole.file}: ${values}. ${name} counts, as in transformers 5.`);
  };
  compare([keys, "rope_theta"], [whole, "rope_theta"]);
  compare([keys, "rope_type"], [keys, "type"]);
  if ((keys.json.rope_type ?? keys.json.type) !== "llama3") return;
  compare([whole, "original_max_position_embeddings"], [keys, "original_max_position_embeddings"]);
}
