// The cache folder: which files it holds, which are removed when it grows too large.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { readError, writeError } from "../../base/system-errors.js";
import { mapFile } from "../../native/index.js";
import { decode } from "./arrow.js";
import { type Contents, isWhole } from "./contents.js";
import { isLeftover, temporaryName } from "./file.js";
import { readNote, writeNote } from "./note.js";
import { TokenTable } from "./table.js";

const FILE = /^[0-9a-f]{64}\.arrow$/;
/** Which cache file was made from sources in a state. */
const STAMP = /^[0-9a-f]{64}\.json$/;
/** Files that are worth nothing without a cache file, and locks; `places` is an earlier version's. */
const NOTE = /^[0-9a-f]{64}\.((note\.|places\.)?json|lock)$/;

function noteFile(folder: string, key: string): string {
  return join(folder, `${key}.note.json`);
}

export function cacheFile(folder: string, key: string): string {
  return join(folder, `${key}.arrow`);
}

/**
 * Opens a cache file and reads it once, to see whether it holds the bytes that were written. A damaged file is
 * removed.
 * @param onDamage told the file's name before that
 * @returns null where there is no file that can be used
 */
export function openCache(folder: string, key: string, onDamage: (file: string) => void): TokenTable | null {
  const file = cacheFile(folder, key);
  if (!existsSync(file)) return null;
  const buffer = mapFile(file);
  const found = readNote(noteFile(folder, key), buffer);
  if (!found || !isWhole(buffer, found)) {
    onDamage(file);
    remove(file);
    return null;
  }
  try {
    // The time of the last use, for `evict`. The cache file's own time must stay: processes that have the file mapped
    // would see a change.
    const now = new Date();
    utimesSync(noteFile(folder, key), now, now);
  } catch {
    // Somebody else's cache may be read, too.
  }
  return new TokenTable(buffer, found);
}

/**
 * Opens a cache file that was just written, and notes its contents. Another process that finds the file without its note removes both. So
 * the note is written while the file has its temporary name.
 */
export function adoptCache(
  folder: string,
  key: string,
  temporary: string,
  about: Omit<Contents, "blocks">,
): TokenTable {
  const file = cacheFile(folder, key);
  const buffer = mapFile(temporary, file);
  const contents = { ...about, blocks: decode(buffer) };
  if (!isWhole(buffer, contents)) {
    const message = `Cache file ${file} does not hold the bytes that were written a moment ago. Check the disk, or name another --cache_dir.`;
    throw new LowrankError("E_CACHE", message, file);
  }
  writeNote(noteFile(folder, key), temporaryName(folder), buffer, contents);
  return new TokenTable(buffer, contents);
}

export interface CacheEntry {
  file: string;
  bytes: number;
  lastUse: Date;
}

function names(folder: string): string[] {
  try {
    return existsSync(folder) ? readdirSync(folder) : [];
  } catch (error) {
    throw readError(error, folder, "Cache folder");
  }
}

/** The cache's files, the last used first. */
export function listCache(folder: string): CacheEntry[] {
  const files = names(folder).filter((name) => FILE.test(name));
  const entries = files.flatMap((name) => {
    const file = join(folder, name);
    const found = statSync(file, { throwIfNoEntry: false });
    if (!found) return [];
    const note = statSync(noteFile(folder, basename(name, ".arrow")), { throwIfNoEntry: false });
    return [{ file, bytes: found.size, lastUse: (note ?? found).mtime }];
  });
  return entries.sort((a, b) => b.lastUse.getTime() - a.lastUse.getTime());
}

/** Removes everything that is the cache's. @returns the cache files removed */
export function clearCache(folder: string): CacheEntry[] {
  const entries = listCache(folder);
  for (const name of names(folder)) {
    if (FILE.test(name) || NOTE.test(name) || isLeftover(name)) remove(join(folder, name));
  }
  return entries;
}

/** Removes the files that were used longest ago until no more than `limit` bytes are left, but not `kept`. */
export function evict(folder: string, limit: number, kept: string): CacheEntry[] {
  for (const name of names(folder)) if (isLeftover(name)) remove(join(folder, name));
  let bytes = 0;
  const evicted = listCache(folder).filter(({ file, bytes: size }) => {
    bytes += size;
    if (bytes <= limit || file === kept) return false;
    remove(file);
    remove(noteFile(folder, basename(file, ".arrow")));
    bytes -= size;
    return true;
  });
  removeStamps(folder);
  return evicted;
}

/** Those of cache files that are no longer there. */
function removeStamps(folder: string): void {
  for (const name of names(folder)) {
    if (!STAMP.test(name)) continue;
    const key = recallSources(folder, basename(name, ".json"));
    if (key !== null && existsSync(cacheFile(folder, key))) continue;
    try {
      rmSync(join(folder, name), { force: true });
    } catch {
      // Of somebody else, in a folder that is shared: it is a shortcut only.
    }
  }
}

// A run that has the file mapped keeps it until it ends.
function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch (error) {
    throw writeError(error, file);
  }
}

/** Key of the cache file that was made from sources in this state, as `rememberSources` has noted it. */
export function recallSources(folder: string, stamp: string): string | null {
  const file = join(folder, `${stamp}.json`);
  if (!existsSync(file)) return null;
  try {
    const { key } = JSON.parse(readFileSync(file, "utf8"));
    return typeof key === "string" && /^[0-9a-f]{64}$/.test(key) ? key : null;
  } catch {
    return null;
  }
}
