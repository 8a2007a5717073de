import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { LowrankError } from "../errors.js";
import { readError } from "../system-errors.js";

const MAIN = "tokenizer.json";

/** Files of a tokenizer that belong beside an adapter or a merged model. */
const FILES = [
  MAIN,
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
];

export function isTokenizerFile(path: string): boolean {
  return FILES.includes(basename(path));
}

/** Paths of the tokenizer files that a folder has. */
export function findTokenizerFiles(folder: string): string[] {
  return FILES.map((name) => join(folder, name)).filter((path) => existsSync(path));
}

/** @param path tokenizer.json or its folder. @throws LowrankError E_FILE_MISSING, E_FILE */
export function findMainFile(path: string): string {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw readError(error, path, "Tokenizer");
  }
  if (!isFolder) return path;
  const file = join(path, MAIN);
  if (existsSync(file)) return file;
  const old = findTokenizerFiles(path).map((name) => basename(name));
  throw new LowrankError(
    "E_FILE_MISSING",
    `Tokenizer folder ${path} has no ${MAIN}. ` +
      (old.length > 0
        ? `It has ${old.join(", ")}; save the tokenizer with a current version of transformers, which writes ${MAIN}.`
        : "Copy the model's tokenizer files there, or name another folder with --tokenizer_name."),
    file,
  );
}
