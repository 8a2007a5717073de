// The tokenizer of a GGUF file as files: everything that opens, hashes or copies a tokenizer works with them.
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ggufTokenizer } from "../model/index.js";
import { writeError } from "../system-errors.js";
import { defaultCacheFolder } from "./cache/index.js";

/**
 * The folder that holds the files, within the cache; named by their content. Files that are not there, or that differ, as
 * after a crash, are written.
 * @throws LowrankError E_TOKENIZER, E_GGUF, E_WRITE
 */
export function ggufTokenizerFolder(file: string): string {
  const files = Object.entries(ggufTokenizer(file)).map(([name, value]) => [name, JSON.stringify(value)] as const);
  const hash = createHash("sha256");
  for (const [name, text] of files) hash.update(`${name} ${text.length} `).update(text);
  const folder = join(defaultCacheFolder(), "tokenizers", hash.digest("hex").slice(0, 32));
  for (const [name, text] of files) {
    if (!holds(join(folder, name), text)) place(folder, name, text);
  }
  return folder;
}

function holds(file: string, text: string): boolean {
  try {
    return readFileSync(file, "utf8") === text;
  } catch {
    return false;
  }
}

/** Under another name first: another process may read the file, or write the same one. */
function place(folder: string, name: string, text: string): void {
  const temporary = join(folder, `.${name}-${randomUUID()}.tmp`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(temporary, text);
    renameSync(temporary, join(folder, name));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw writeError(error, join(folder, name));
  }
}
