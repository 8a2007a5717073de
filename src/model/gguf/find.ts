import { existsSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { readError } from "../../base/system-errors.js";

const isGguf = (name: string) => name.toLowerCase().endsWith(".gguf");

/**
 * The GGUF file that a path means: the file itself, or the only one of a folder; undefined where it means none.
 * @throws LowrankError E_GGUF where a folder has several, E_FILE where it cannot be listed
 */
export function findGguf(path: string): string | undefined {
  const status = statusOf(path);
  if (!status) return undefined;
  if (!status.isDirectory()) return isGguf(path) ? path : undefined;
  const files = namesIn(path).filter(isGguf);
  if (files.length > 1) {
    const message = `${path} has several GGUF files: ${files.sort().join(", ")}. Name one of them.`;
    throw new LowrankError("E_GGUF", message, path);
  }
  return files[0] === undefined ? undefined : join(path, files[0]);
}

/** Undefined where there is no such path: the caller knows which file was expected and reports it. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw readError(error, folder, "Model folder");
  }
}

/** The same for a base model: weights of another format in the folder come first. */
export function findGgufBase(path: string): string | undefined {
  const others = ["model.safetensors", "model.safetensors.index.json"];
  return others.some((name) => existsSync(join(path, name))) ? undefined : findGguf(path);
}
