// The files of an adapter as others may see them: without paths of this machine, with the base's name on the hub.
import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readJsonObject } from "../base/json.js";
import { readText } from "../base/system-errors.js";
import { findTokenizerFiles, readTokenizerText } from "../data/index.js";
import { aboutAdapter, CONFIG, WEIGHTS } from "./adapter.js";
import type { NamedBase } from "./adapter-config.js";
import { sortedJson } from "./files.js";
import { LABELS } from "./labels.js";
import { ADAPTER_PLACE, modelCard } from "./model-card.js";

const CARD = "README.md";
/** SentencePiece's model, the only file of a tokenizer that is no text. */
const BINARY = "tokenizer.model";

/** A file by its path within the repository. */
export interface PublishedFile {
  path: string;
  content: { file: string; bytes: number } | { text: string };
}

/** Keys of tokenizer_config.json that hold paths in the files of older versions of transformers. */
const PATH_KEYS = ["name_or_path", "tokenizer_file", "special_tokens_map_file", "vocab_file", "merges_file"];
const PATH_LINE = new RegExp(
  `(?:,\\s*"(?:${PATH_KEYS.join("|")})"\\s*:\\s*"[/~.](?:[^"\\\\]|\\\\.)*"(?=\\s*[,}])|"(?:${PATH_KEYS.join("|")})"\\s*:\\s*"[/~.](?:[^"\\\\]|\\\\.)*"\\s*,\\s*)`,
  "g",
);

/** Other files of the folder, of the tokenizer and of a classifier's labels, by their paths. */
function otherFiles(folder: string): string[] {
  const labels = existsSync(join(folder, LABELS)) ? [LABELS] : [];
  return [...findTokenizerFiles(folder).map((file) => relative(folder, file)), ...labels];
}

/** The card with the names of the hub. @param named the base as adapter_config.json names it here */
function publishedCard(text: string, name: string, named: string, base: NamedBase | undefined): string {
  const shown = base?.named ?? basename(named);
  const isPath = named !== base?.named;
  const places = isPath ? text.replaceAll(JSON.stringify(dirname(named)), '"FOLDER OF THE BASE"') : text;
  const plain = (isPath ? places.replaceAll(named, shown) : places)
    .replaceAll(ADAPTER_PLACE, name)
    .replaceAll("--adapter FOLDER", `--adapter ${name}`)
    .replaceAll("classify FOLDER", `classify ${name}`);
  const [head] = /^---\n[\s\S]*?\n---\n/.exec(plain) ?? [];
  if (base === undefined || head === undefined || /^base_model:/m.test(head)) return plain;
  return `---\nbase_model: ${base.named}\n${plain.slice("---\n".length)}`;
}

function newCard(folder: string, name: string, named: string, base: NamedBase | undefined): string {
  const { rank, alpha, dropout, useRslora, targetModules, rules } = aboutAdapter(folder);
  const spec = { rank, alpha, dropout, useRslora, targets: [], seed: 0 };
  const origin = base && { name: base.named, revision: base.revision };
  return publishedCard(
    modelCard({ spec, targets: { modules: [], peft: targetModules, rules }, base: named, origin }),
    name,
    named,
    base,
  );
}

/** @throws LowrankError E_PUSH_PRIVATE where a text holds the token, or a path of this machine */
function checkText(path: string, text: string, secrets: { token: string | undefined; paths: string[] }): void {
  const found =
    secrets.token !== undefined && text.includes(secrets.token)
      ? "the token"
      : secrets.paths.find((one) => text.includes(one));
  if (found === undefined) return;
  const what = found === "the token" ? "your token of the hub" : `a path of this machine (${found})`;
  throw new LowrankError("E_PUSH_PRIVATE", `${path} holds ${what}, and is not pushed: remove it from the file.`, path);
}

/**
 * The files of an adapter's folder for a repository. Files of a checkpoint or a run beside them stay here.
 * @param name of the repository. @param base as the hub knows it; undefined where it is a folder of this machine
 * @param token that no file may hold
 * @throws LowrankError E_FILE_MISSING and others where the folder holds no whole adapter, E_PUSH_PRIVATE
 */
export function publishedFiles(
  folder: string,
  name: string,
  base: NamedBase | undefined,
  token: string | undefined,
): PublishedFile[] {
  aboutAdapter(folder);
  const config = readJsonObject(join(folder, CONFIG), "Adapter configuration");
  const { base_model_name_or_path: written, revision: _, ...others } = config;
  const named = typeof written === "string" ? written : "";
  const revision = base?.revision === undefined ? {} : { revision: base.revision };
  const texts = new Map<string, string>();
  texts.set(CONFIG, sortedJson({ ...others, base_model_name_or_path: base?.named ?? null, ...revision }));
  const found = otherFiles(folder);
  for (const path of found.filter((name) => name !== BINARY)) {
    const text = readTokenizerText(join(folder, path));
    texts.set(path, basename(path) === "tokenizer_config.json" ? text.replace(PATH_LINE, "") : text);
  }
  const card = join(folder, CARD);
  const isCard = existsSync(card);
  texts.set(
    CARD,
    isCard ? publishedCard(readText(card, "Model card"), name, named, base) : newCard(folder, name, named, base),
  );
  const paths = [resolve(folder), `${homedir()}/`, named].filter((path) => /^\/[^/]/.test(path));
  for (const [path, text] of texts) if (path !== "tokenizer.json") checkText(path, text, { token, paths });
  const asTheyAre = [WEIGHTS, ...found.filter((name) => name === BINARY)].map((path): PublishedFile => {
    const file = join(folder, path);
    return { path, content: { file, bytes: statSync(file).size } };
  });
  return [...asTheyAre, ...[...texts].map(([path, text]): PublishedFile => ({ path, content: { text } }))];
}
