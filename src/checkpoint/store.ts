// Checkpoints of a run: OUTPUT/checkpoint-N, complete or absent.
import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { readError, writeError } from "../base/system-errors.js";
import { hiddenName, removeFolder, writeFolder } from "./files.js";
import { writeManifest } from "./manifest.js";

const NAME = /^checkpoint-(\d+)$/;

const stepOf = (folder: string) => Number(NAME.exec(basename(folder))![1]);

/** OUTPUT/checkpoint-N */
export function checkpointFolder(outputDir: string, step: number): string {
  return join(outputDir, `checkpoint-${step}`);
}

/**
 * Writes OUTPUT/checkpoint-N, its manifest last.
 * @param write fills the folder that it is given
 * @returns the checkpoint's folder
 * @throws LowrankError E_WRITE naming file and cause; then there is no checkpoint-N that was not there before
 */
export async function saveCheckpoint(
  outputDir: string,
  step: number,
  write: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = checkpointFolder(outputDir, step);
  await writeFolder(folder, async (temporary) => {
    await write(temporary);
    await writeManifest(temporary);
  });
  return folder;
}

/** Folders of the checkpoints, the oldest first; none where there is no such output folder. @throws LowrankError E_FILE */
export async function listCheckpoints(outputDir: string): Promise<string[]> {
  const names = await readdir(outputDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw readError(error, outputDir, "Folder of checkpoints");
  });
  return names
    .filter((name) => NAME.test(name))
    .sort((a, b) => stepOf(a) - stepOf(b))
    .map((name) => join(outputDir, name));
}

/** Half-written and half-removed folders of interrupted runs. */
async function removeLeftovers(outputDir: string): Promise<void> {
  for (const name of await readdir(outputDir)) {
    if (/^\.checkpoint-\d+\.(tmp|old)$/.test(name)) await rm(join(outputDir, name), { recursive: true, force: true });
  }
}

/**
 * Removes the oldest checkpoints beyond `limit`, and the half-written or half-removed folders of interrupted runs. The
 * newest checkpoint and the folders in `keep` (paths or names) stay even where they are more than `limit`.
 * @param limit null keeps all
 * @returns the folders removed
 * @throws LowrankError E_WRITE
 */
export async function pruneCheckpoints(outputDir: string, limit: number | null, keep: string[]): Promise<string[]> {
  try {
    await removeLeftovers(outputDir);
    const all = await listCheckpoints(outputDir);
    const kept = new Set([...keep, ...all.slice(-1)].map((folder) => basename(folder)));
    const excess = limit === null ? 0 : Math.max(0, all.length - limit);
    const removed = all.filter((folder) => !kept.has(basename(folder))).slice(0, excess);
    for (const folder of removed) await removeFolder(folder);
    return removed;
  } catch (error) {
    throw writeError(error, outputDir);
  }
}

/**
 * Puts a checkpoint back that a killed run had moved away to replace it, where the new one did not take its place.
 * @throws LowrankError E_WRITE
 */
export async function recoverCheckpoints(outputDir: string): Promise<void> {
  const names = await readdir(outputDir).catch(() => []);
  for (const step of names.flatMap((name) => /^\.checkpoint-(\d+)\.old$/.exec(name)?.[1] ?? [])) {
    const folder = checkpointFolder(outputDir, Number(step));
    // Without a new one beside it, it was being removed.
    if (existsSync(folder) || !existsSync(hiddenName(folder, "tmp"))) continue;
    await rename(hiddenName(folder, "old"), folder).catch((error) => {
      throw writeError(error, folder);
    });
  }
}

/**
 * Removes the checkpoints after `step`, which a run that goes on from there makes again, and the leftovers of
 * interrupted runs.
 * @returns the checkpoints' folders
 */
export async function removeLater(outputDir: string, step: number): Promise<string[]> {
  try {
    await removeLeftovers(outputDir);
  } catch (error) {
    throw writeError(error, outputDir);
  }
  const later = (await listCheckpoints(outputDir)).filter((folder) => stepOf(folder) > step);
  for (const folder of later) await removeFolder(folder);
  return later;
}
