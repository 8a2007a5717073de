// The tokenizer of a GGUF file as files: everything that opens, hashes or copies a tokenizer works with them.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ggufTokenizer } from "../model/index.js";
import { writeError } from "../system-errors.js";
import { defaultCacheFolder } from "./cache/index.js";

/**
 * The folder that holds the files, within the cache; named by their content, and made where it is not there.
 * @throws LowrankError E_TOKENIZER, E_GGUF, E_WRITE
 */
export function ggufTokenizerFolder(file: string): string {
  const files = Object.entries(ggufTokenizer(file)).map(([name, value]) => [name, JSON.stringify(value)] as const);
  const hash = createHash("sha256");
  for (const [name, text] of files) hash.update(`${name} ${text.length} `).update(text);
  const parent = join(defaultCacheFolder(), "tokenizers");
  const folder = join(parent, hash.digest("hex").slice(0, 32));
  if (existsSync(folder)) return folder;
  let made: string | undefined;
  try {
    mkdirSync(parent, { recursive: true });
    made = mkdtempSync(join(parent, ".new-"));
    for (const [name, text] of files) writeFileSync(join(made, name), text);
    renameSync(made, folder);
    return folder;
  } catch (error) {
    if (made) rmSync(made, { recursive: true, force: true });
    // Another process was faster.
    if (existsSync(folder)) return folder;
    throw writeError(error, folder);
  }
}
