// Folders that are complete or absent: written under another name, flushed, renamed.
import { copyFile, mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeError } from "../system-errors.js";

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

/** Copies files into a folder under their own names. @throws LowrankError E_WRITE */
export async function copyInto(folder: string, files: string[]): Promise<void> {
  for (const file of files) {
    const target = join(folder, basename(file));
    try {
      await copyFile(file, target);
      await flush(target);
    } catch (error) {
      throw writeError(error, target);
    }
  }
}

/** @throws LowrankError E_WRITE */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw writeError(error, folder);
  }
}

/** The hidden name beside `folder` under which it is written or taken away. */
export function hiddenName(folder: string, suffix: "tmp" | "old"): string {
  return join(dirname(folder), `.${basename(folder)}.${suffix}`);
}

/**
 * Makes `folder` of what `write` puts into a temporary folder beside it; a folder of that name is replaced. Where
 * anything fails the temporary folder is removed and `folder` is what it was.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function writeFolder(folder: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = hiddenName(folder, "tmp");
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    for (const entry of await readdir(temporary, { recursive: true })) await flush(join(temporary, entry));
    await flush(temporary);
    await moveAway(folder);
    await rename(temporary, folder);
    await flush(dirname(folder));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw writeError(error, folder);
  }
  await rm(hiddenName(folder, "old"), { recursive: true, force: true });
}

/** Renames a folder before it is removed: at no time does it stand there incomplete. */
async function moveAway(folder: string): Promise<void> {
  const old = hiddenName(folder, "old");
  await rm(old, { recursive: true, force: true });
  await rename(folder, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
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
