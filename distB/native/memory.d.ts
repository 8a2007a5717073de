import { type FileLock } from "./addon.js";
import type { AdapterTensors } from "./types.js";
/**
 * A file's bytes, mapped and not read: pages come from the page cache as they are touched. Writing to the buffer changes
 * neither the file nor what others see. Where the file is cut while it is mapped, zeros are read: `mappedProblem` tells.
 * @throws LowrankError E_FILE
 */
export declare function mapFile(path: string): ArrayBuffer;
/** Gives the resident pages of a buffer of `mapFile` back to the system; its content stays. */
export declare function releasePages(buffer: ArrayBuffer): void;
/**
 * What happened to the file of a buffer of `mapFile` since then (cut, written to, lost), and what to do; null: nothing, and what was read
 * before is right. A change is told by size and time of change. `Engine` asks it of the tokens of each batch.
 */
export declare function mappedProblem(buffer: ArrayBuffer): string | null;
/**
 * Locks a file, which is made where there is none, without waiting. The system drops the lock when the process ends, however it does;
 * so do `unlockFile`, the end of this worker thread, and collection of the lock. Two locks of one file exclude each other within a process, too.
 * @returns "held" where another has it, "unsupported" where the file system knows no such locks
 * @throws the system's error, with errno and code as those of node:fs have them
 */
export declare function lockFile(path: string): FileLock | "held" | "unsupported";
export declare function unlockFile(lock: FileLock): void;
/** Bytes of a file of weights that this process's engines have copied, see `EngineOptions.copyWeights`. */
export declare function copiedBytes(path: string): number;
/** Frees the tensors' memory now rather than when it is collected; they are empty from then on. */
export declare function freeTensors(...groups: AdapterTensors[]): void;
/** Gives memory that was freed and kept for later, in any thread, back to the system; takes milliseconds. */
export declare function trimHeaps(): void;
