import type { ModelConfig } from "../native/index.js";
import type { ConfigKeys } from "./keys.js";

/** Largest size that a plausible model has; products of two stay exact integers. */
export const LARGEST = 2 ** 26;

/** Hidden size and heads, as most configurations spell them. @throws LowrankError E_CONFIG_VALUE */
export function readHeads(
  keys: ConfigKeys,
  defaults: { headDim?: number; kvHeads?: number } = {},
): Pick<ModelConfig, "hiddenSize" | "heads" | "kvHeads" | "headDim"> {
  const hiddenSize = keys.count("hidden_size", LARGEST);
  const heads = keys.count("num_attention_heads", LARGEST);
  // null means as many as heads, whatever the default is.
  const absent = keys.json.num_key_value_heads === undefined;
  const kvHeads = keys.count("num_key_value_heads", LARGEST, absent ? (defaults.kvHeads ?? heads) : heads);
  if (heads % kvHeads !== 0) {
    throw keys.error(
      "num_key_value_heads",
      `expected a divisor of ${keys.nameOf("num_attention_heads")} (${heads}), found ${kvHeads}`,
    );
  }
  if (!keys.given("head_dim") && defaults.headDim === undefined && hiddenSize % heads !== 0) {
    throw keys.error(
      "hidden_size",
      `${hiddenSize} is no multiple of num_attention_heads (${heads}), and head_dim is absent`,
    );
  }
  const headDim = keys.count("head_dim", LARGEST, defaults.headDim ?? hiddenSize / heads);
  if (headDim % 2 !== 0) throw keys.error("head_dim", `expected an even number, found ${headDim}`);
  return { hiddenSize, heads, kvHeads, headDim };
}
