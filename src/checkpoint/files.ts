// Folders that are complete or absent: written under another name, flushed, renamed.

import { closeSync, existsSync, readdirSync, statSync } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { openRegular, writeError } from "../base/system-errors.js";
import { isTokenizerFile, madeFile, type StoredTemplates, TEMPLATE_FILE, TEMPLATE_FOLDER } from "../data/index.js";

export const MODEL_CONFIGS = ["config.json", "generation_config.json"];

/** Where files are written before they take their places in a folder that holds other things too. */
const STAGED = ".adapter.tmp";

/** Flushes a file, or a folder's list of names. */
export async function flush(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}

/** @throws LowrankError E_WRITE naming the file */
export async function writeTextFile(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flush: true });
  } catch (error) {
    throw writeError(error, file);
  }
}

/** JSON as Hugging Face's libraries write it: sorted keys, two spaces. */
export function sortedJson(value: Record<string, unknown>): string {
  const sorted = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify(sorted, null, 2)}\n`;
}

/** The place of a tokenizer's file in another folder: other chat templates have a folder of their own. */
async function placeFor(folder: string, file: string): Promise<string> {
  if (basename(dirname(file)) !== TEMPLATE_FOLDER) return join(folder, basename(file));
  await makeFolder(join(folder, TEMPLATE_FOLDER));
  return join(folder, TEMPLATE_FOLDER, basename(file));
}

/** Writes chat templates as transformers does, in the place of a tokenizer's own. @throws LowrankError E_WRITE */
export async function writeTemplates(folder: string, { default: usual, tool_use }: StoredTemplates): Promise<void> {
  const others = join(folder, TEMPLATE_FOLDER);
  await rm(others, { recursive: true, force: true });
  await writeTextFile(join(folder, TEMPLATE_FILE), usual);
  if (tool_use === undefined) return;
  await makeFolder(others);
  await writeTextFile(join(others, "tool_use.jinja"), tool_use);
}

/** Copies files, of the disk or made for a tokenizer, into a folder under their own names. @throws LowrankError E_FILE, E_WRITE */
export async function copyInto(folder: string, files: string[]): Promise<void> {
  for (const file of files) {
    const target = await placeFor(folder, file);
    const text = madeFile(file);
    if (text === undefined) closeSync(openRegular(file));
    try {
      if (text === undefined) await copyFile(file, target);
      else await writeFile(target, text);
      await flush(target);
    } catch (error) {
      throw writeError(error, target);
    }
  }
}

/** @throws LowrankError E_WRITE */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      // Node gives ENOENT for causes that it does not know; the plain call names them.
      if (error.code !== "ENOENT") throw error;
      return mkdir(folder);
    });
  } catch (error) {
    throw writeError(error, folder);
  }
}

/** The hidden name beside `folder` under which it is written or taken away. */
export function hiddenName(folder: string, suffix: "tmp" | "old"): string {
  return join(dirname(folder), `.${basename(folder)}.${suffix}`);
}

/** Fills a new temporary folder and flushes all of it. */
async function fill(temporary: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await rm(temporary, { recursive: true, force: true });
  await makeFolder(temporary);
  await write(temporary);
  for (const entry of await readdir(temporary, { recursive: true })) await flush(join(temporary, entry));
  await flush(temporary);
}

/**
 * `write` fills a temporary folder beside `folder`. The temporary folder then replaces `folder`. Where a step fails, the
 * temporary folder is removed and `folder` is left as it was.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function writeFolder(folder: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = hiddenName(folder, "tmp");
  const old = hiddenName(folder, "old");
  let wasThere = false;
  let isPlaced = false;
  try {
    await fill(temporary, write);
    wasThere = await moveAway(folder);
    await rename(temporary, folder);
    isPlaced = true;
    await flush(dirname(folder));
  } catch (error) {
    try {
      if (isPlaced) await rename(folder, temporary);
      if (wasThere) await rename(old, folder);
      await rm(temporary, { recursive: true, force: true });
    } catch {
      // Both folders stay under their hidden names, from which the old one is recovered.
    }
    throw writeError(error, folder);
  }
  // A folder that cannot be removed now is removed before its name is needed again.
  await rm(old, { recursive: true, force: true }).catch(() => {});
}

/** Files of another tokenizer than the one whose files are written beside them: they would change its tokens or its templates. */
function strangers(folder: string, written: readonly string[]): string[] {
  const isOfTokenizer = (name: string) => isTokenizerFile(name) || name === TEMPLATE_FOLDER;
  if (!written.some(isOfTokenizer)) return [];
  return readdirSync(folder).filter((name) => isOfTokenizer(name) && !written.includes(name));
}

/**
 * Puts the files that `write` makes into a folder that holds other things too. They are written whole under another name
 * first; `last`, without which the others mean nothing, takes its place after them. A tokenizer among them replaces the one
 * that stood there, wholly.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function replaceFiles(
  folder: string,
  last: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  await makeFolder(folder);
  const temporary = join(folder, STAGED);
  try {
    await fill(temporary, write);
    const others = (await readdir(temporary)).filter((name) => name !== last);
    for (const name of strangers(folder, others)) await rm(join(folder, name), { recursive: true, force: true });
    for (const name of [...others, last]) {
      // A folder takes the place of an empty one alone.
      if (statSync(join(temporary, name)).isDirectory()) await rm(join(folder, name), { recursive: true, force: true });
      await rename(join(temporary, name), join(folder, name));
    }
    await flush(folder);
  } catch (error) {
    throw writeError(error, join(folder, last));
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
  }
}

/** Renames a folder before it is removed: at no time does it stand there incomplete. @returns whether there was one */
async function moveAway(folder: string): Promise<boolean> {
  const old = hiddenName(folder, "old");
  await rm(old, { recursive: true, force: true });
  try {
    await rename(folder, old);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return false;
  }
}

/** Removes a folder that is complete until it is gone. @throws LowrankError E_WRITE */
export async function removeFolder(folder: string): Promise<void> {
  try {
    await moveAway(folder);
    await rm(hiddenName(folder, "old"), { recursive: true, force: true });
  } catch (error) {
    throw writeError(error, folder);
  }
}

/** A folder for a whole model: new, empty or, to be overwritten, one that holds nothing else. @throws LowrankError E_OUTPUT_EXISTS */
export function checkModelOutput(output: string, overwrite: boolean): void {
  if (!existsSync(output)) return;
  const isOurs = (name: string) =>
    MODEL_CONFIGS.includes(name) ||
    isTokenizerFile(name) ||
    name === TEMPLATE_FOLDER ||
    /^model.*\.safetensors(\.index\.json)?$/.test(name);
  const found = readdirSync(output);
  if (found.length === 0 || (overwrite && found.every(isOurs))) return;
  const named = found.filter((name) => !overwrite || !isOurs(name)).slice(0, 3);
  throw new LowrankError(
    "E_OUTPUT_EXISTS",
    `Output folder ${output} is not empty: it holds ${named.join(", ")}. Remove it or choose another.`,
    output,
  );
}
