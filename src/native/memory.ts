// Mapped files, locks and memory of the process.
import { getSystemErrorName } from "node:util";
import { type FileLock, native } from "./addon.js";
import { callSync } from "./call.js";
import type { AdapterTensors } from "./types.js";

/**
 * A file's bytes, mapped and not read: pages come from the page cache as they are touched. Writing to the buffer changes
 * neither the file nor the pages of other processes. Where the file is cut while it is mapped, zeros are read:
 * `mappedProblem` tells.
 * @param name the file's name in errors, for a file that will be renamed
 * @throws LowrankError E_FILE
 */
export function mapFile(path: string, name = path): ArrayBuffer {
  return callSync(() => native().mapFile(path, name));
}

/** Gives the resident pages of a buffer of `mapFile` back to the system; its content stays. */
export function releasePages(buffer: ArrayBuffer): void {
  callSync(() => native().releasePages(buffer));
}

/**
 * The change of the file of a buffer of `mapFile` since then (cut, written to, lost), and the remedy. Null: there was no change, and the
 * bytes that were read before are right. A change is told by size and time of change. `Engine` asks for the tokens of each batch.
 */
export function mappedProblem(buffer: ArrayBuffer): string | null {
  return callSync(() => native().mappedProblem(buffer));
}

/**
 * Locks a file, which is made where there is none, without waiting. The system drops the lock when the process ends, in whichever way. So
 * do `unlockFile`, the end of this worker thread, and collection of the lock. Two locks of one file exclude each other within a process,
 * too.
 * @returns "held" where another process or thread has it, "unsupported" where the file system knows no such locks
 * @throws the system's error, with errno and code as in the errors of node:fs
 */
export function lockFile(path: string): FileLock | "held" | "unsupported" {
  const result = callSync(() => native().lockFile(path));
  if (typeof result !== "number") return result;
  const code = getSystemErrorName(-result);
  throw Object.assign(new Error(`${code}: lock '${path}'`), { errno: -result, code, syscall: "lock", path });
}

export function unlockFile(lock: FileLock): void {
  callSync(() => native().unlockFile(lock));
}

/** Bytes of a file of weights that this process's engines have copied, see `EngineOptions.copyWeights`. */
export function copiedBytes(path: string): number {
  return callSync(() => native().copiedBytes(path));
}

/** Frees the tensors' memory now rather than when it is collected; they are empty from then on. */
export function freeTensors(...groups: AdapterTensors[]): void {
  for (const tensors of groups) for (const { data } of tensors.values()) native().detach(data.buffer);
}

/** Gives memory that was freed and kept for later, in any thread, back to the system; takes milliseconds. */
export function trimHeaps(): void {
  native().trimHeaps();
}
