// Rotary positions are spelled in three ways: `rope_scaling` with `type`, the same with `rope_type`, and transformers 5's
// `rope_parameters`; `rope_theta` stands in one of these, or beside them. Of several the one counts that transformers 5 takes.

import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import type { ModelConfig, RopeScaling } from "../native/index.js";
import type { ConfigKeys } from "./keys.js";
import type { Warn } from "./warn.js";

const DEFAULT_THETA = 10_000;

type Rope = Pick<ModelConfig, "ropeTheta" | "ropeScaling">;

/** The keys that a kind of scaling is read from. */
interface Place {
  keys: ConfigKeys;
  /** The configuration's own keys. */
  whole: ConfigKeys;
  maxPositions: number;
}
type Reader = (place: Place) => RopeScaling | null;

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
    const trained = "original_max_position_embeddings";
    const originalMaxPositions = (whole.given(trained) ? whole : keys).count(trained, 2 ** 31, maxPositions);
    return { type: "llama3", factor: factor(keys), lowFreqFactor, highFreqFactor, originalMaxPositions };
  },
};

/** @throws LowrankError E_CONFIG_VALUE */
export function readRope(whole: ConfigKeys, maxPositions: number, warn: Warn): Rope {
  const places = ["rope_scaling", "rope_parameters"].flatMap((key) => {
    const keys = whole.within(key);
    return keys && Object.keys(keys.json).length > 0 ? [{ keys, whole, maxPositions }] : [];
  });
  const [used, other] = places;
  whole.only("partial_rotary_factor", [1], 1);
  if (!used) return { ropeTheta: readTheta(whole), ropeScaling: null };
  const rope = readPlace(used);
  if (other && JSON.stringify(rope) !== JSON.stringify(tryPlace(other))) {
    warn(`${whole.file}: rope_scaling and rope_parameters differ. rope_scaling counts, as in transformers 5.`);
  }
  warnOfContradictions(used, warn);
  return rope;
}

const readTheta = (keys: ConfigKeys) => keys.number("rope_theta", { above: 0 }, DEFAULT_THETA);

function readPlace(place: Place): Rope {
  const { keys, whole } = place;
  keys.only("partial_rotary_factor", [1], 1);
  const nested = Object.keys(keys.json).find((key) => isObject(keys.json[key]));
  if (nested !== undefined) throw keys.error(nested, "settings of one type of layers are not supported");
  return { ropeTheta: readTheta(keys.given("rope_theta") ? keys : whole), ropeScaling: readScaling(place) };
}

/** A section that does not count may be wrong. */
function tryPlace(place: Place): Rope | undefined {
  try {
    return readPlace(place);
  } catch (error) {
    if (error instanceof LowrankError) return undefined;
    throw error;
  }
}

function readScaling(place: Place): RopeScaling | null {
  const { keys } = place;
  const key = keys.given("rope_type") || !keys.given("type") ? "rope_type" : "type";
  const type = keys.json[key] ?? "default";
  const reader = typeof type === "string" && Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (reader) return reader(place);
  throw keys.error(key, `${JSON.stringify(type)} is not supported. Supported: ${Object.keys(READERS).join(", ")}`);
}

function warnOfContradictions({ keys, whole }: Place, warn: Warn): void {
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
