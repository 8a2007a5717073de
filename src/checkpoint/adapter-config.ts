// adapter_config.json of PEFT.

import { LowrankError } from "../base/errors.js";
import { isObject, kindOf } from "../base/json.js";
import { ConfigKeys, type ResolvedTargets, type TargetRules, type TokenIndices, tokenIndices } from "../model/index.js";
import type { AdapterSpec } from "../native/index.js";

/**
 * Values of PEFT's keys that make an adapter plain LoRA, as far as they decide its result. Reading refuses other values.
 * Writing leaves them out, for PEFT before 0.14 refuses keys that it does not know.
 */
const PLAIN: Record<string, unknown> = {
  alora_invocation_tokens: null,
  arrow_config: null,
  bias: "none",
  kasa_config: null,
  layer_replication: null,
  monteclora_config: null,
  target_parameters: null,
  use_bdlora: null,
  use_qalora: false,
  velora_config: null,
};

/** The task type of classifiers. PEFT saves these modules for it, and each module whose name ends with one of them. */
const SEQ_CLS = "SEQ_CLS";
const CLASSIFIER_MODULES = ["classifier", "score"] as const;

/** The modules that train whole, but for a classifier's head, which it always has; a module may stand there twice. */
function modulesToSave(keys: ConfigKeys, json: Record<string, unknown>): string[] {
  const modules = json.modules_to_save;
  if (isEmpty(modules)) return [];
  if (!isTexts(modules)) throw keys.error("modules_to_save", `expected a list of names, found ${kindOf(modules)}`);
  const isHead = (name: string) => isClassifierConfig(json) && CLASSIFIER_MODULES.some((end) => name.endsWith(end));
  return [...new Set(modules)].filter((name) => !isHead(name));
}

/** Whether an adapter is a classifier's. */
export const isClassifierConfig = ({ task_type }: Record<string, unknown>): boolean => task_type === SEQ_CLS;

/** Initialisations that leave the base as it is; the others (PiSSA, OLoRA, LoftQ, ...) train on a changed base. */
const PLAIN_INITS: unknown[] = [true, false, "gaussian", "orthogonal", "eva", undefined, null];

export interface AdapterConfig {
  rank: number;
  alpha: number;
  dropout: number;
  useRslora: boolean;
  bias: boolean;
  useDora: boolean;
  targetModules: string | string[];
  rules: TargetRules;
  /** As they stand there. */
  modulesToSave: string[];
  /** As they stand there. */
  tokenIndices: TokenIndices | undefined;
  /** Whether a tied embedding and head stay one table where one of them trains whole. */
  ensureWeightTying: boolean;
}

/** A base as adapter_config.json names it: an absolute path, or a name of the hub and its revision. */
export interface NamedBase {
  named: string;
  /** Undefined is the main branch. */
  revision?: string | undefined;
}

/** The configuration of a trained adapter, in keys that PEFT has had since 0.11. */
export function adapterConfigJson(
  spec: AdapterSpec,
  { peft, rules, transposed }: ResolvedTargets,
  { named, revision }: NamedBase,
  classifies = false,
) {
  const tokens = spec.tokens?.length ? tokenIndices(spec.tokens) : undefined;
  const saved = (spec.whole ?? []).map((module) => module.slice(module.lastIndexOf(".") + 1));
  if (classifies) saved.push(...CLASSIFIER_MODULES);
  return {
    base_model_name_or_path: named,
    ...(revision === undefined ? {} : { revision }),
    bias: "none",
    ...(transposed && { fan_in_fan_out: true }),
    inference_mode: true,
    lora_alpha: spec.alpha,
    lora_dropout: spec.dropout,
    ...(saved.length > 0 ? { modules_to_save: saved } : {}),
    peft_type: "LORA",
    r: spec.rank,
    target_modules: peft,
    ...(tokens === undefined ? {} : { trainable_token_indices: tokens }),
    ...rules,
    ...(spec.bias ? { lora_bias: true } : {}),
    ...(spec.useDora ? { use_dora: true } : {}),
    task_type: classifies ? SEQ_CLS : "CAUSAL_LM",
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
  for (const [key, expected] of Object.entries(PLAIN)) {
    if (isEmpty(json[key]) || json[key] === expected) continue;
    throw unsupported(file, key, json[key], JSON.stringify(expected));
  }
  if (!PLAIN_INITS.includes(json.init_lora_weights)) {
    throw unsupported(file, "init_lora_weights", json.init_lora_weights, "an adapter whose base was left as it is");
  }
  return {
    rank: keys.count("r", 1 << 20, 8),
    alpha: keys.number("lora_alpha", { above: 0 }, 8),
    dropout: json.lora_dropout === 0 ? 0 : keys.number("lora_dropout", { above: 0, atMost: 1 }, 0),
    useRslora: keys.flag("use_rslora", false),
    bias: keys.flag("lora_bias", false),
    useDora: keys.flag("use_dora", false),
    targetModules: namesOrPattern(keys, json, "target_modules"),
    rules: parseRules(keys, json),
    modulesToSave: modulesToSave(keys, json),
    tokenIndices: parseTokenIndices(keys, json),
    ensureWeightTying: keys.flag("ensure_weight_tying", false),
  };
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === "string");

function namesOrPattern(keys: ConfigKeys, json: Record<string, unknown>, key: string): string | string[] {
  const value = json[key];
  if (isTexts(value) || typeof value === "string") return value;
  throw keys.error(key, `expected a list of names or a regular expression, found ${kindOf(value)}`);
}

function parseTokenIndices(keys: ConfigKeys, json: Record<string, unknown>): TokenIndices | undefined {
  const value = json.trainable_token_indices;
  if (isEmpty(value)) return undefined;
  const areIds = (ids: unknown): ids is number[] => Array.isArray(ids) && ids.every((id) => Number.isInteger(id));
  if (areIds(value)) return value;
  if (isObject(value) && Object.values(value).every(areIds)) return value as Record<string, number[]>;
  const expected = "expected a list of token ids, or such lists by the names of modules";
  throw keys.error("trainable_token_indices", `${expected}, found ${kindOf(value)}`);
}

/** The keys beside target_modules that are not empty. */
function parseRules(keys: ConfigKeys, json: Record<string, unknown>): TargetRules {
  const rules: TargetRules = {};
  if (!isEmpty(json.exclude_modules)) rules.exclude_modules = namesOrPattern(keys, json, "exclude_modules");
  if (!isEmpty(json.layers_to_transform)) {
    const layers = [json.layers_to_transform].flat();
    if (!layers.every((layer) => Number.isInteger(layer))) {
      throw keys.error("layers_to_transform", "expected a list of whole numbers");
    }
    rules.layers_to_transform = layers as number[];
    const patterns = [json.layers_pattern ?? []].flat();
    if (!isTexts(patterns)) throw keys.error("layers_pattern", "expected a name or a list of names");
    if (patterns.length > 0) rules.layers_pattern = patterns;
  }
  for (const key of ["rank_pattern", "alpha_pattern"] as const) {
    const value = json[key];
    if (isEmpty(value)) continue;
    const isRight = (n: unknown) =>
      (key === "rank_pattern" ? Number.isInteger(n) : Number.isFinite(n)) && (n as number) > 0;
    if (!isObject(value) || !Object.values(value).every(isRight)) {
      throw keys.error(key, `expected an object of positive ${key === "rank_pattern" ? "whole " : ""}numbers`);
    }
    rules[key] = value as Record<string, number>;
  }
  return rules;
}

function unsupported(file: string, key: string, value: unknown, expected: string): LowrankError {
  return new LowrankError(
    "E_ADAPTER_UNSUPPORTED",
    `${file}: ${key} is ${JSON.stringify(value)}, which is not supported; expected ${expected}. ` +
      "Only plain LoRA adapters of linears can be read.",
    key,
  );
}
