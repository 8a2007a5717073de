// Reading small text files, and what the system's errors mean to a person.
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { LowrankError } from "./errors.js";

const REASONS: Record<string, string> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder, not a file",
  ENOTDIR: "a part of its path is a file, not a folder",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EMFILE: "too many open files",
  ENAMETOOLONG: "the name is too long",
  ENOSPC: "no space left on the device; free some space or choose another output folder",
  EDQUOT: "the disk quota is used up; free some space or choose another output folder",
  EROFS: "the file system is read-only; choose another output folder",
  EFBIG: "the file would be larger than the file system allows",
  EIO: "the device reported an input/output error",
};

/** The system's error in words, with its code: "permission denied (EACCES)". */
function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : REASONS[code];
  return words ? `${words} (${code})` : (message ?? String(error));
}

/** `what` names the file's role: "Training file", "config.json of the model". */
export function readError(error: unknown, file: string, what = "File"): LowrankError {
  const code = (error as NodeJS.ErrnoException).code === "ENOENT" ? "E_FILE_MISSING" : "E_FILE";
  return new LowrankError(code, `${what} ${file} cannot be read: ${reason(error)}.`, file, { cause: error });
}

/** What the system refused becomes E_WRITE; any other error stays what it is. */
export function writeError(error: unknown, file: string): unknown {
  if (typeof (error as NodeJS.ErrnoException).errno !== "number") return error;
  return new LowrankError("E_WRITE", `${file} cannot be written: ${reason(error)}.`, file, { cause: error });
}

/** A UTF-8 file without its byte order mark. @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8 */
export function readText(file: string, what?: string): string {
  try {
    const bytes = readFileSync(file);
    if (!isUtf8(bytes)) throw new LowrankError("E_UTF8", `${file} is not valid UTF-8. Save it as UTF-8.`, file);
    const text = bytes.toString("utf8");
    return text.startsWith("\uFEFF") ? text.slice(1) : text;
  } catch (error) {
    throw error instanceof LowrankError ? error : readError(error, file, what);
  }
}
