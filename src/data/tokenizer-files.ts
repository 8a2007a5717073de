import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { LARGEST_LIST_BYTES, readBytes, readError } from "../base/system-errors.js";
import { bareNameError, findGguf } from "../model/index.js";
import { hasTokenizerFile, madeFile } from "./made-files.js";

const MAIN = "tokenizer.json";

/** Files of a tokenizer that belong beside an adapter or a merged model. */
const FILES = [
  MAIN,
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
];

/** The files beside the main file that decide which tokens a text becomes. */
const DECISIVE = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/** sha256 of the files that decide which tokens a text becomes. @param main tokenizer.json. @throws LowrankError E_FILE */
export function tokenizerHash(main: string): string {
  const hash = createHash("sha256");
  const beside = DECISIVE.map((name) => join(dirname(main), name)).filter(hasTokenizerFile);
  for (const file of [main, ...beside]) {
    try {
      const text = madeFile(file);
      const content = text === undefined ? readBytes(file, "Tokenizer", LARGEST_LIST_BYTES) : Buffer.from(text);
      hash.update(`${basename(file)} ${content.length} `).update(content);
    } catch (error) {
      throw readError(error, file, "Tokenizer");
    }
  }
  return hash.digest("hex");
}

export function isTokenizerFile(path: string): boolean {
  return FILES.includes(basename(path));
}

/** Folder of a tokenizer's other chat templates. */
export const TEMPLATE_FOLDER = "additional_chat_templates";
export const TEMPLATE_EXTENSION = ".jinja";

/** Names of the files of a tokenizer's other chat templates. */
export function otherTemplates(folder: string): string[] {
  const others = join(folder, TEMPLATE_FOLDER);
  if (!existsSync(others) || !statSync(others).isDirectory()) return [];
  return readdirSync(others)
    .filter((name) => name.endsWith(TEMPLATE_EXTENSION))
    .sort();
}

/** Paths of the tokenizer files that a folder or a GGUF file has, or has made for it. */
export function findTokenizerFiles(folder: string): string[] {
  const own = FILES.map((name) => join(folder, name)).filter(hasTokenizerFile);
  return [...own, ...otherTemplates(folder).map((name) => join(folder, TEMPLATE_FOLDER, name))];
}

/** @param path tokenizer.json or its folder, or a GGUF file. @throws LowrankError E_FILE_MISSING, E_FILE */
export function findMainFile(path: string): string {
  if (madeFile(path) !== undefined) return path;
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw bareNameError(path, "Tokenizer") ?? readError(error, path, "Tokenizer");
  }
  const file = isFolder ? join(path, MAIN) : path;
  if (isFolder && madeFile(file) !== undefined) return file;
  const gguf = isFolder && existsSync(file) ? undefined : findGguf(path);
  if (gguf !== undefined) return join(gguf, MAIN);
  if (!isFolder || existsSync(file)) return file;
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
