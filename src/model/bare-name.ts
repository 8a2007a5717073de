// Names of the Hugging Face hub without their owner, which are no paths.
import { existsSync } from "node:fs";
import { LowrankError } from "../base/errors.js";

/** A name with a hyphen, as models' names have it; files end otherwise. */
const BARE_NAME = /^[\w.]+(-[\w.]+)+$/;
const FILE = /\.(gguf|safetensors|json|bin)$/i;

/**
 * The error of a path that leads nowhere and looks like a name of the hub without its owner.
 * @returns undefined where it looks like none, or where it leads somewhere
 */
export function bareNameError(path: string, what: string): LowrankError | undefined {
  if (existsSync(path) || !BARE_NAME.test(path) || FILE.test(path)) return undefined;
  const message = `${what} ${path} is not there. Names of the Hugging Face hub have an owner: OWNER/${path}.`;
  return new LowrankError("E_FILE_MISSING", message, path);
}
