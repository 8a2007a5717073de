// Files of a tokenizer that are in memory alone: those of a GGUF file, named as if the GGUF file were their folder
// ("model.gguf/tokenizer.json"), and those of a folder that has a vocabulary without tokenizer.json. Code that opens, hashes or copies a
// tokenizer's files reads them by these functions.
import { existsSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readJsonObject } from "../base/json.js";
import { LARGEST_LIST_BYTES, readBytes, readText } from "../base/system-errors.js";
import { findGguf, ggufTokenizer } from "../model/index.js";
import { TOKENIZER_CONFIG, vocabularyFiles, vocabularyTokenizer } from "./vocabulary-files.js";

const MAIN = "tokenizer.json";
const NAMES = [MAIN, TOKENIZER_CONFIG, "generation_config.json"];

/** Contents by name, made once for each state of the files that they are made of. */
const made = new Map<string, { state: string; files: ReadonlyMap<string, string> }>();

interface Origin {
  files: string[];
  make(): object;
}

/** What the files of a GGUF file, or of a folder, are made of. */
function originOf(place: string, stats: Stats): Origin | undefined {
  if (stats.isFile()) {
    return findGguf(place) === undefined ? undefined : { files: [place], make: () => ggufTokenizer(place) };
  }
  if (!stats.isDirectory() || existsSync(join(place, MAIN))) return undefined;
  const names = vocabularyFiles(place);
  if (names === undefined) return undefined;
  const beside = [TOKENIZER_CONFIG, "special_tokens_map.json", "config.json"];
  const files = [...names, ...beside].map((name) => join(place, name));
  return { files, make: () => vocabularyTokenizer(place, names) };
}

const stateOf = (file: string) => {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats ? [stats.ino, stats.size, stats.mtimeMs].join() : "";
};

/**
 * Content of a file that is in memory alone; undefined for every other path.
 * @throws LowrankError E_TOKENIZER, E_GGUF
 */
export function madeFile(file: string): string | undefined {
  if (!NAMES.includes(basename(file))) return undefined;
  const place = dirname(file);
  const stats = statSync(place, { throwIfNoEntry: false });
  const origin = stats && originOf(place, stats);
  if (origin === undefined) return undefined;
  const state = origin.files.map(stateOf).join(" ");
  let found = made.get(place);
  if (found?.state !== state) {
    const files = Object.entries(origin.make()).map(([name, value]) => [name, JSON.stringify(value)] as const);
    found = { state, files: new Map(files) };
    made.set(place, found);
  }
  return found.files.get(basename(file));
}

export function hasTokenizerFile(file: string): boolean {
  return madeFile(file) !== undefined || existsSync(file);
}

/** @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8 */
export function readTokenizerText(file: string): string {
  return madeFile(file) ?? readText(file, "Tokenizer", LARGEST_LIST_BYTES);
}

/** The same as bytes, which are the caller's own. */
export function readTokenizerBytes(file: string): Buffer {
  const text = madeFile(file);
  return text === undefined ? readBytes(file, "Tokenizer", LARGEST_LIST_BYTES) : Buffer.from(text);
}

/** @param most bytes that the file may have, else as a file of settings. @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8, E_JSON */
export function readTokenizerJson(file: string, most?: number): Record<string, unknown> {
  const text = madeFile(file);
  return text === undefined ? readJsonObject(file, "Tokenizer", most) : JSON.parse(text);
}
