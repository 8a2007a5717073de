// adapter_config.json of PEFT.
import type { AdapterSpec } from "../engine.js";
import { LowrankError } from "../errors.js";
import { ConfigKeys, kindOf } from "../model/index.js";

/**
 * What PEFT 0.20 writes besides the adapter's own numbers. Reading refuses every other value of these keys, except for
 * those that do not change what a trained adapter computes.
 */
const DEFAULTS: Record<string, unknown> = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  bias: "none",
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_bias: false,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: "megatron.core",
  modules_to_save: null,
  monteclora_config: null,
  peft_type: "LORA",
  peft_version: "0.20.0",
  qalora_group_size: 16,
  rank_pattern: {},
  revision: null,
  target_parameters: null,
  task_type: "CAUSAL_LM",
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  velora_config: null,
};

/** Keys that say how an adapter was made or is used elsewhere, not what it computes on its base. */
const HARMLESS = new Set([
  "auto_mapping",
  "ensure_weight_tying",
  "inference_mode",
  "init_lora_weights",
  "layers_pattern",
  "corda_config",
  "eva_config",
  "lora_ga_config",
  "loftq_config",
  "megatron_config",
  "megatron_core",
  "peft_version",
  "qalora_group_size",
  "revision",
  "task_type",
]);

/** Initialisations that leave the base as it is; the others (PiSSA, OLoRA, LoftQ, ...) train on a changed base. */
const PLAIN_INITS: unknown[] = [true, false, "gaussian", "orthogonal", "eva", undefined, null];

export interface AdapterConfig {
  rank: number;
  alpha: number;
  dropout: number;
  useRslora: boolean;
  targetModules: string | string[];
}

/** The configuration of a trained adapter. */
export function adapterConfigJson(spec: AdapterSpec, targets: string | string[], baseModel: string) {
  return {
    ...DEFAULTS,
    base_model_name_or_path: baseModel,
    lora_alpha: spec.alpha,
    lora_dropout: spec.dropout,
    r: spec.rank,
    target_modules: targets,
    use_rslora: spec.useRslora,
  };
}

/** Nothing, null, false, an empty list or object: PEFT's ways of saying no. */
function isEmpty(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false;
}

/** @throws LowrankError E_CONFIG_VALUE, E_ADAPTER_UNSUPPORTED naming the key */
export function parseAdapterConfig(json: Record<string, unknown>, file: string): AdapterConfig {
  const keys = new ConfigKeys(json, file);
  keys.only("peft_type", ["LORA"]);
  for (const [key, expected] of Object.entries(DEFAULTS)) {
    if (HARMLESS.has(key) || key === "peft_type" || isEmpty(json[key]) || json[key] === expected) continue;
    throw unsupported(file, key, json[key], JSON.stringify(expected));
  }
  if (!PLAIN_INITS.includes(json.init_lora_weights)) {
    throw unsupported(file, "init_lora_weights", json.init_lora_weights, "an adapter whose base was left as it is");
  }
  const { target_modules: targets } = json;
  const isList = Array.isArray(targets) && targets.every((name) => typeof name === "string");
  if (!isList && typeof targets !== "string") {
    throw keys.error("target_modules", `expected a list of names or a regular expression, found ${kindOf(targets)}`);
  }
  return {
    rank: keys.count("r", 1 << 20, 8),
    alpha: keys.number("lora_alpha", { above: 0 }, 8),
    dropout: json.lora_dropout === 0 ? 0 : keys.number("lora_dropout", { above: 0, atMost: 1 }, 0),
    useRslora: keys.flag("use_rslora", false),
    targetModules: targets,
  };
}

function unsupported(file: string, key: string, value: unknown, expected: string): LowrankError {
  return new LowrankError(
    "E_ADAPTER_UNSUPPORTED",
    `${file}: ${key} is ${JSON.stringify(value)}, which is not supported; expected ${expected}. ` +
      "Only plain LoRA adapters of linears can be read.",
    key,
  );
}
