import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { readError, writeError } from "../../base/system-errors.js";
import { isTokenizerFile } from "../../data/index.js";
import { LOCK } from "./lock.js";

/** Files that a training run writes into its folder, besides the files that it also writes into each checkpoint. */
const OURS =
  /^(adapter_model\.safetensors|adapter_config\.json|\.adapter\.tmp|\.trackers|metrics\.jsonl(\.tmp)?|train\.log|profile\.json|report\.(html|json)(\.tmp)?|report_files|(lowrank|trainer)_state\.json|classifier_config\.json|checkpoint-\d+|\.checkpoint-\d+\.(tmp|old))$/;
/** Files that are there only if a run has begun. */
const BEGUN = /^(metrics\.jsonl|train\.log)$/;
const CHECKPOINT = /^checkpoint-\d+$/;
const OLD_CHECKPOINT = /^\.checkpoint-\d+\.old$/;
const ADAPTER = "adapter_model.safetensors";
/** Files that a run puts beside an adapter. */
const isBesideAdapter = (name: string) =>
  name === "adapter_config.json" || name === "classifier_config.json" || name === "README.md" || isTokenizerFile(name);

/**
 * The permitted contents of an output folder: nothing; leftovers of a run that was killed before its first checkpoint,
 * beside files that no run writes; or the results of an earlier run.
 */
export type Allowed = "nothing" | "leftovers" | "results";

/** Files that are in the way of a run that begins anew. */
function obstacles(found: string[], allowed: Allowed): string[] {
  if (allowed === "results") return [];
  if (allowed === "nothing") return found;
  const hasBegun = found.some((name) => BEGUN.test(name));
  const isResult = (name: string) => name === ADAPTER || CHECKPOINT.test(name) || /\.(safetensors|gguf)$/.test(name);
  return found.filter((name) => isResult(name) || (!hasBegun && isBesideAdapter(name)));
}

/** Whether a path that is there is or lies in a folder, by its name or behind links. */
export function isInside(path: string, folder: string): boolean {
  return [resolve, realpathSync].some((real) => {
    const way = relative(real(folder), real(path));
    return way === "" || !(way === ".." || way.startsWith("../"));
  });
}

/** Whether there is a checkpoint in a folder, whole or not. */
export function holdsCheckpoints(folder: string): boolean {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return false;
  return names(folder).some((name) => CHECKPOINT.test(name) || OLD_CHECKPOINT.test(name));
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith(LOCK));
  } catch (error) {
    throw readError(error, folder, "Output folder");
  }
}

/**
 * Whether results may be written to a folder; nothing is changed.
 * @param inputs folders that the run reads and must not write into, and names of the hub
 * @param canResume whether the writer knows --resume
 * @throws LowrankError E_OUTPUT_EXISTS
 */
export function checkOutput(
  folder: string,
  allowed: Allowed,
  inputs: (string | undefined)[] = [],
  canResume = false,
): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) {
    throw new LowrankError(
      "E_OUTPUT_EXISTS",
      `--output_dir ${folder} is a file, expected a folder or nothing.`,
      folder,
    );
  }
  const inside = inputs.find((path) => path !== undefined && existsSync(path) && isInside(path, folder));
  if (inside !== undefined) {
    const message = `--output_dir ${folder} is or holds ${inside}, which this run reads. Choose another --output_dir.`;
    throw new LowrankError("E_OUTPUT_EXISTS", message, folder);
  }
  const found = obstacles(names(folder), allowed);
  if (found.length === 0) return;
  const named = found.slice(0, 4).join(", ") + (found.length > 4 ? ", ..." : "");
  const what = allowed === "nothing" ? "is not empty" : "holds results, but no checkpoint to go on from";
  const goOn = canResume && allowed === "nothing" ? " go on with --resume," : "";
  throw new LowrankError(
    "E_OUTPUT_EXISTS",
    `${folder} ${what} (${named}). Choose another --output_dir,${goOn} or replace an earlier run's results with --overwrite_output_dir.`,
    folder,
  );
}

/** Makes the folder, without the results of an earlier run. Files that are not ours stay. */
export function beginOutput(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    // Hidden ones first: a checkpoint moved away beside half a new one would be put back.
    for (const name of readdirSync(folder).sort()) {
      if (!OURS.test(name)) continue;
      const path = join(folder, name);
      // Renamed before it is removed: at no time is there half a checkpoint.
      const hidden = CHECKPOINT.test(name) ? join(folder, `.${name}.old`) : path;
      if (hidden !== path) {
        rmSync(hidden, { recursive: true, force: true });
        renameSync(path, hidden);
      }
      rmSync(hidden, { recursive: true });
    }
  } catch (error) {
    throw writeError(error, folder);
  }
}
