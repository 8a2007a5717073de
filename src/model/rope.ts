// Rotary positions are spelled in three ways: `rope_scaling` with `type`, the same with `rope_type`, and transformers 5's
// `rope_parameters`, which holds `rope_theta` too.
import type { ModelConfig, RopeScaling } from "../engine.js";
import type { ConfigKeys } from "./keys.js";

const DEFAULT_THETA = 10_000;
type Reader = (keys: ConfigKeys, maxPositions: number) => RopeScaling | null;

const factor = (keys: ConfigKeys) => keys.number("factor", { above: 0 });

/** One row per kind of scaling. */
const READERS: Record<string, Reader> = {
  default: () => null,
  linear: (keys) => ({ type: "linear", factor: factor(keys) }),
  // transformers takes max_position_embeddings for the trained length, whatever original_max_position_embeddings says.
  dynamic: (keys, maxPositions) => ({ type: "dynamic", factor: factor(keys), originalMaxPositions: maxPositions }),
  llama3: (keys) => {
    const lowFreqFactor = keys.number("low_freq_factor", { above: 0 });
    const highFreqFactor = keys.number("high_freq_factor", { above: 0 });
    if (highFreqFactor <= lowFreqFactor) {
      throw keys.error(
        "high_freq_factor",
        `expected more than low_freq_factor (${lowFreqFactor}), found ${highFreqFactor}`,
      );
    }
    const originalMaxPositions = keys.count("original_max_position_embeddings", 2 ** 31);
    return { type: "llama3", factor: factor(keys), lowFreqFactor, highFreqFactor, originalMaxPositions };
  },
};

/** @throws LowrankError E_CONFIG_VALUE */
export function readRope(keys: ConfigKeys, maxPositions: number): Pick<ModelConfig, "ropeTheta" | "ropeScaling"> {
  const parameters = keys.within("rope_parameters");
  const scaling = parameters ?? keys.within("rope_scaling");
  const theta = parameters?.given("rope_theta") ? parameters : keys;
  for (const k of [keys, ...(scaling ? [scaling] : [])]) k.only("partial_rotary_factor", [1], 1);
  return {
    ropeTheta: theta.number("rope_theta", { above: 0 }, DEFAULT_THETA),
    ropeScaling: scaling ? readScaling(scaling, maxPositions) : null,
  };
}

function readScaling(keys: ConfigKeys, maxPositions: number): RopeScaling | null {
  const key = keys.given("rope_type") || !keys.given("type") ? "rope_type" : "type";
  const type = keys.json[key] ?? "default";
  const reader = typeof type === "string" && Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (reader) return reader(keys, maxPositions);
  throw keys.error(key, `${JSON.stringify(type)} is not supported. Supported: ${Object.keys(READERS).join(", ")}`);
}
