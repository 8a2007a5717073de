// Names of the Hugging Face hub, which are no paths: nothing is downloaded here.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { cacheFolderOf, isRepositoryName } from "../hub/name.js";
import { hubCache } from "../hub/settings.js";

/** NAME alone, with a hyphen as models' names have it; files end otherwise. */
const BARE_NAME = /^[\w.]+(-[\w.]+)+$/;
const FILE = /\.(gguf|safetensors|json|bin)$/i;

/** Where huggingface_hub has put a model; undefined where it has not. */
function downloaded(name: string): string | undefined {
  const snapshots = join(hubCache(), cacheFolderOf({ type: "model", name }), "snapshots");
  const [first] = existsSync(snapshots) ? readdirSync(snapshots).sort() : [];
  return first === undefined ? undefined : join(snapshots, first);
}

/**
 * The error of a path that leads nowhere and looks like a name of the hub, which says how to get the model.
 * @returns undefined where it looks like none, or where it leads somewhere
 */
export function hubNameError(path: string, what: string): LowrankError | undefined {
  if (existsSync(path)) return undefined;
  if (BARE_NAME.test(path) && !FILE.test(path)) {
    const message = `${what} ${path} is not there. Names of the Hugging Face hub have an owner, OWNER/${path}, and nothing is downloaded here: download the model first and name its folder.`;
    return new LowrankError("E_FILE_MISSING", message, path);
  }
  if (!isRepositoryName(path)) return undefined;
  const folder = downloaded(path);
  const short = path.slice(path.indexOf("/") + 1);
  const advice = folder
    ? `It has been downloaded before: name its folder ${folder}.`
    : `Download it first (hf download ${path} --local-dir ${short}, with older versions huggingface-cli download, or git clone https://huggingface.co/${path}) and name the folder ${short}.`;
  const message = `${what} ${path} is not there. It looks like a name of the Hugging Face hub, from which nothing is downloaded here. ${advice}`;
  return new LowrankError("E_FILE_MISSING", message, path);
}
