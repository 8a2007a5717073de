// Opening and reading files, free room on a disk, and the meaning of the system's errors for people.
import { isUtf8 } from "node:buffer";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  statfsSync,
} from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { LowrankError } from "./errors.js";

const REASONS: Record<string, string> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder, not a file",
  ENOTDIR: "a part of its path is a file, not a folder",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EMFILE: "this process has too many open files; raise its limit with `ulimit -n 1024`",
  ENFILE: "this machine has too many open files; close some programs",
  ENAMETOOLONG: "the name is too long",
  ENOSPC: "no space left on the device; free some space, or write to another place",
  EDQUOT: "the disk quota is used up; free some space, or write to another place",
  EROFS: "the file system is read-only; write to another place",
  EEXIST: "there is something of this name already, and it is no folder",
  EFBIG: "the file would be larger than the file system allows",
  ENXIO: "it is a socket, or a device that is not there",
  ELOOP: "its links lead in a circle",
  EIO: "the device reported an input/output error",
};

/** The system's error in words, with its code: "permission denied (EACCES)". */
function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : REASONS[code];
  return words ? `${words} (${code})` : (message ?? String(error));
}

/**
 * An error for people is returned unchanged. `what` names the file's role: "Training file", "config.json of the
 * model".
 */
export function readError(error: unknown, file: string, what = "File"): LowrankError {
  if (error instanceof LowrankError) return error;
  const code = (error as NodeJS.ErrnoException).code === "ENOENT" ? "E_FILE_MISSING" : "E_FILE";
  return new LowrankError(code, `${what} ${file} cannot be read: ${reason(error)}.`, file, { cause: error });
}

/** An error of the system becomes E_WRITE. Any other error is returned unchanged. */
export function writeError(error: unknown, file: string): unknown {
  if (typeof (error as NodeJS.ErrnoException).errno !== "number") return error;
  return new LowrankError("E_WRITE", `${file} cannot be written: ${reason(error)}.`, file, { cause: error });
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes for people: "1.5 MiB". */
export function bytes(n: number): string {
  let unit = 0;
  let value = Math.round(n);
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  // A tenth of a GiB is too much to leave out.
  return `${unit === 0 ? value : value.toFixed(unit < 3 ? 1 : 2)} ${UNITS[unit]}`;
}

/** Bytes that are free for this user where `path` is or will be; undefined where the system does not say. */
export function freeBytes(path: string): number | undefined {
  let there = resolve(path);
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  try {
    const { bavail, bsize } = statfsSync(there);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Whether an error is E_WRITE of a full disk or a used up quota. */
export function isFull(error: unknown): error is LowrankError {
  if (!(error instanceof LowrankError) || error.code !== "E_WRITE") return false;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * The error of a full disk about a whole folder of files, not one of its files. Any other error is returned unchanged.
 */
export function fullError(error: unknown, whole: string, needed: number): unknown {
  if (!isFull(error)) return error;
  const free = freeBytes(whole);
  const found = free === undefined ? "" : `, and ${bytes(free)} are free there`;
  const at = error.where === undefined || error.where === whole ? "" : ` It failed at its ${basename(error.where)}.`;
  const message = `${whole} cannot be written: ${reason(error.cause)}. It needs ${bytes(needed)}${found}.${at}`;
  return new LowrankError("E_WRITE", message, whole, { cause: error.cause });
}

/** Never waits for the writer of a pipe. */
export const TO_READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return stats.isDirectory() ? "a folder" : "a device";
}

/**
 * Reading a pipe may wait for ever, and a device may never end.
 * @param stats of a file opened with `TO_READ`
 * @throws LowrankError E_FILE for anything but a regular file
 */
export function requireRegular(stats: Stats, file: string, what = "File"): void {
  if (stats.isFile()) return;
  const message = `${what} ${file} cannot be read: it is ${kindOf(stats)}, not a file.`;
  throw new LowrankError("E_FILE", message, file);
}

/**
 * The first line of the pointer that Git LFS leaves in place of a file that it has not fetched. A hash and a size
 * follow it.
 */
const LFS_POINTER = "version https://git-lfs.github.com/spec/";
const LARGEST_POINTER = 1024;

/** @throws LowrankError E_FILE */
function requireFetched(descriptor: number, { size }: Stats, file: string, what: string): void {
  if (size < LFS_POINTER.length || size > LARGEST_POINTER) return;
  const head = Buffer.alloc(LFS_POINTER.length);
  readSync(descriptor, head, 0, head.length, 0);
  if (head.toString("latin1") !== LFS_POINTER) return;
  const found = "it is a pointer of Git LFS in place of the file, which was not fetched";
  const message = `${what} ${file} cannot be read: ${found}. Run "git lfs pull" in its repository, or download the file.`;
  throw new LowrankError("E_FILE", message, file);
}

const MIB = 2 ** 20;
/** Largest file of settings; a hundred times the size in any model. */
const LARGEST_BYTES = 64 * MIB;
/** Largest size of files that hold a whole vocabulary, or the history of a run. */
export const LARGEST_LIST_BYTES = 256 * MIB;

/**
 * @param most bytes that it may have
 * @returns the descriptor of a regular file
 * @throws LowrankError E_FILE_MISSING, E_FILE
 */
export function openRegular(file: string, what = "File", most = Number.POSITIVE_INFINITY): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, TO_READ);
    const stats = fstatSync(descriptor);
    requireRegular(stats, file, what);
    requireFetched(descriptor, stats, file, what);
    if (stats.size <= most) return descriptor;
    const sizes = `it has ${Math.ceil(stats.size / MIB)} MiB, more than the ${most / MIB} MiB that such a file may have`;
    throw new LowrankError("E_FILE", `${what} ${file} cannot be read: ${sizes}. Name the right file.`, file);
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw readError(error, file, what);
  }
}

/** All of a file. @throws LowrankError E_FILE_MISSING, E_FILE, also where it is larger than `most` bytes */
export function readBytes(file: string, what?: string, most = LARGEST_BYTES): Buffer {
  const descriptor = openRegular(file, what, most);
  try {
    return readFileSync(descriptor);
  } catch (error) {
    throw readError(error, file, what);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * A UTF-8 file without its byte order mark.
 * @throws LowrankError E_FILE_MISSING, E_FILE, also where it is larger than `most` bytes, E_UTF8
 */
export function readText(file: string, what?: string, most?: number): string {
  const bytes = readBytes(file, what, most);
  if (!isUtf8(bytes)) throw new LowrankError("E_UTF8", `${file} is not valid UTF-8. Save it as UTF-8.`, file);
  const text = bytes.toString("utf8");
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}
