// The tokenizer of a GGUF file as files that are in memory alone. They are named as if the GGUF file were their folder,
// "model.gguf/tokenizer.json". Code that opens, hashes or copies a tokenizer's files reads them by these functions.
import { existsSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { readJsonObject } from "../base/json.js";
import { LARGEST_LIST_BYTES, readText } from "../base/system-errors.js";
import { findGguf, ggufTokenizer } from "../model/index.js";

const NAMES = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"];

/** Contents by name, made once for each state of a GGUF file. */
const made = new Map<string, { state: string; files: ReadonlyMap<string, string> }>();

/**
 * Content of a file of a GGUF file's tokenizer; undefined for every other path.
 * @throws LowrankError E_TOKENIZER, E_GGUF
 */
export function ggufFile(file: string): string | undefined {
  if (!NAMES.includes(basename(file))) return undefined;
  const gguf = dirname(file);
  const stats = statSync(gguf, { throwIfNoEntry: false });
  if (!stats?.isFile() || findGguf(gguf) === undefined) return undefined;
  const state = [stats.ino, stats.size, stats.mtimeMs].join();
  let found = made.get(gguf);
  if (found?.state !== state) {
    const files = Object.entries(ggufTokenizer(gguf)).map(([name, value]) => [name, JSON.stringify(value)] as const);
    found = { state, files: new Map(files) };
    made.set(gguf, found);
  }
  return found.files.get(basename(file));
}

export function hasTokenizerFile(file: string): boolean {
  return ggufFile(file) !== undefined || existsSync(file);
}

/** @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8 */
export function readTokenizerText(file: string): string {
  return ggufFile(file) ?? readText(file, "Tokenizer", LARGEST_LIST_BYTES);
}

/** @param most bytes that the file may have, else as a file of settings. @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8, E_JSON */
export function readTokenizerJson(file: string, most?: number): Record<string, unknown> {
  const text = ggufFile(file);
  return text === undefined ? readJsonObject(file, "Tokenizer", most) : JSON.parse(text);
}
