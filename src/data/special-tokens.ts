// Special tokens by the files beside tokenizer.json and by a model folder.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { isObject } from "../base/json.js";
import { findGguf, ggufEndIds } from "../model/index.js";
import { hasTokenizerFile, readTokenizerJson } from "./made-files.js";
import { TOKENIZER_CONFIG } from "./vocabulary-files.js";

export interface TokenizerSettings {
  /** Texts of the tokens, undefined where no file names one. */
  bos: string | undefined;
  eos: string | undefined;
  pad: string | undefined;
  /** Side that truncation cuts. */
  truncationSide: "left" | "right";
}

/** Roles of tokens, in transformers' order. */
export const NAMED_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/** The files beside tokenizer.json. */
export interface SettingsFiles {
  /** tokenizer_config.json */
  config: Record<string, unknown>;
  /** special_tokens_map.json, of older folders. */
  map: Record<string, unknown>;
  /** Special tokens without a role: a list, or an object by names. */
  additional: unknown;
}

export function readIfThere(file: string): Record<string, unknown> {
  return hasTokenizerFile(file) ? readTokenizerJson(file) : {};
}

/** A token is a text or an object with its text in `content`. */
export function tokenText(value: unknown): string | undefined {
  const text = isObject(value) ? value.content : value;
  return typeof text === "string" ? text : undefined;
}

/** @throws LowrankError E_FILE, E_JSON */
export function readSettingsFiles(folder: string): SettingsFiles {
  const config = readIfThere(join(folder, TOKENIZER_CONFIG));
  const map = readIfThere(join(folder, "special_tokens_map.json"));
  const isEmpty = (value: unknown) => typeof value !== "object" || value === null || Object.keys(value).length === 0;
  const [own, old] = [config.extra_special_tokens, config.additional_special_tokens];
  const additional = isEmpty(own) ? old : own;
  if (!isOlder(config)) return { config, map, additional };
  return { config, map, additional: map.extra_special_tokens ?? map.additional_special_tokens ?? additional };
}

/** Folders before `added_tokens_decoder`: there special_tokens_map.json decides. */
const isOlder = (config: Record<string, unknown>) => !("added_tokens_decoder" in config);

/** The token of a role, as a text or an object. */
export function namedToken({ config, map }: SettingsFiles, role: string): unknown {
  const [first, second] = isOlder(config) ? [map, config] : [config, map];
  return [first[role], second[role]].find((value) => tokenText(value) !== undefined);
}

/**
 * Settings of tokenizer_config.json, and of special_tokens_map.json where it decides or tokenizer_config.json is
 * silent.
 */
export function readTokenizerSettings(folder: string): TokenizerSettings {
  const files = readSettingsFiles(folder);
  const token = (role: string) => tokenText(namedToken(files, role));
  return {
    bos: token("bos_token"),
    eos: token("eos_token"),
    pad: token("pad_token"),
    truncationSide: files.config.truncation_side === "left" ? "left" : "right",
  };
}

/** Classes that transformers 5 builds by tokenizer_config.json, whatever tokenizer.json says of spaces. */
const REBUILT = /^(GPT2|Qwen2)Tokenizer(Fast)?$/;

/** Settings of tokenizer_config.json under which transformers 5 gives a text other tokens than tokenizer.json does. */
export function unheededSettings(tokenizerFile: string): string[] {
  const file = join(dirname(tokenizerFile), TOKENIZER_CONFIG);
  const { tokenizer_class: name, add_prefix_space: space, split_special_tokens: split } = readIfThere(file);
  const found: string[] = [];
  if (space === true && typeof name === "string" && REBUILT.test(name)) {
    const { pre_tokenizer: own } = readTokenizerJson(tokenizerFile);
    if (!/"add_prefix_space":true/.test(JSON.stringify(own ?? null)))
      found.push(`${file}: add_prefix_space is true under ${name}, but tokenizer.json puts no space before a text`);
  }
  if (split === true) found.push(`${file}: split_special_tokens is true, but special tokens in a text stay whole`);
  return found.map((line) => `${line}: tokenizer.json decides here, and transformers 5 gives other tokens`);
}

/** Tokens that end a text of the model: of generation_config.json, else of config.json, or of a GGUF file; empty where none is named. */
export function readEosIds(model: string): number[] {
  const gguf = existsSync(join(model, "config.json")) ? undefined : findGguf(model);
  if (gguf !== undefined) return ggufEndIds(gguf);
  for (const name of ["generation_config.json", "config.json"]) {
    const { eos_token_id: ids } = readIfThere(join(model, name));
    const list = (Array.isArray(ids) ? ids : [ids]).filter((id): id is number => Number.isInteger(id));
    if (list.length > 0) return list;
  }
  return [];
}
