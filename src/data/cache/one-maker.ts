// Ranks of one machine want the same file of tokens at the same time: one of them makes it.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { worldOf } from "../../base/ranks.js";
import { lockFile, unlockFile } from "../../native/index.js";

const POLL_MS = 50;

/**
 * Runs work that makes a file, one rank after the other. Where the file system knows no locks, or the folder cannot be written, each
 * does by itself what it can.
 * @param name of what is made
 */
export async function oneAfterTheOther<T>(
  folder: string,
  name: string | null,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (worldOf() === null || name === null) return work();
  const file = join(folder, `${name}.lock`);
  const release = await take(file, folder, signal);
  try {
    return await work();
  } finally {
    release();
  }
}

async function take(file: string, folder: string, signal: AbortSignal | undefined): Promise<() => void> {
  try {
    mkdirSync(folder, { recursive: true });
    for (;;) {
      const lock = lockFile(file);
      if (lock === "unsupported") break;
      if (lock !== "held") {
        return () => {
          rmSync(file, { force: true });
          unlockFile(lock);
        };
      }
      await setTimeout(POLL_MS, undefined, { signal });
    }
  } catch {
    signal?.throwIfAborted();
  }
  return () => {};
}
