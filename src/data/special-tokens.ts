// What the files beside tokenizer.json and a model folder say about special tokens.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { findGguf, isObject, readJsonObject } from "../model/index.js";
import { ggufTokenizerFolder } from "./gguf-tokenizer.js";

export interface TokenizerSettings {
  /** Texts of the tokens, undefined where no file names one. */
  bos: string | undefined;
  eos: string | undefined;
  pad: string | undefined;
  /** Side that truncation cuts. */
  truncationSide: "left" | "right";
}

function readIfThere(file: string): Record<string, unknown> {
  return existsSync(file) ? readJsonObject(file) : {};
}

/** A token is a text or an object with its text in `content`. */
function tokenText(value: unknown): string | undefined {
  const text = isObject(value) ? value.content : value;
  return typeof text === "string" ? text : undefined;
}

/** tokenizer_config.json, and special_tokens_map.json for what it does not say. */
export function readTokenizerSettings(folder: string): TokenizerSettings {
  const config = readIfThere(join(folder, "tokenizer_config.json"));
  const map = readIfThere(join(folder, "special_tokens_map.json"));
  const token = (key: string) => tokenText(config[key]) ?? tokenText(map[key]);
  return {
    bos: token("bos_token"),
    eos: token("eos_token"),
    pad: token("pad_token"),
    truncationSide: config.truncation_side === "left" ? "left" : "right",
  };
}

/** Tokens that end a text of the model: of generation_config.json, else of config.json; empty where neither says. */
export function readEosIds(model: string): number[] {
  const gguf = existsSync(join(model, "config.json")) ? undefined : findGguf(model);
  const modelFolder = gguf === undefined ? model : ggufTokenizerFolder(gguf);
  for (const name of ["generation_config.json", "config.json"]) {
    const { eos_token_id: ids } = readIfThere(join(modelFolder, name));
    const list = (Array.isArray(ids) ? ids : [ids]).filter((id): id is number => Number.isInteger(id));
    if (list.length > 0) return list;
  }
  return [];
}
