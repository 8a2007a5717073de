import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { LowrankError } from "../errors.js";
import { readError, writeError } from "../system-errors.js";
import { LOCK } from "./lock.js";

/** What a training run writes into its folder, besides tokenizer files. */
const OURS =
  /^(adapter_model\.safetensors|adapter_config\.json|\.adapter\.tmp|metrics\.jsonl|train\.log|profile\.json|checkpoint-\d+|\.checkpoint-\d+\.(tmp|old))$/;

function isInside(path: string, folder: string): boolean {
  const way = relative(resolve(folder), resolve(path));
  return way === "" || !(way === ".." || way.startsWith("../"));
}

/**
 * Whether results may be written to a folder; nothing is changed.
 * @param mayHoldResults whether what an earlier run left is no obstacle
 * @param inputs folders that the run reads and must not write into
 * @throws LowrankError E_OUTPUT_EXISTS
 */
export function checkOutput(folder: string, mayHoldResults: boolean, inputs: (string | undefined)[] = []): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) {
    throw new LowrankError(
      "E_OUTPUT_EXISTS",
      `--output_dir ${folder} is a file, expected a folder or nothing.`,
      folder,
    );
  }
  const inside = inputs.find((path) => path !== undefined && isInside(path, folder));
  if (inside !== undefined) {
    const message = `--output_dir ${folder} is or holds ${inside}, which this run reads. Choose another --output_dir.`;
    throw new LowrankError("E_OUTPUT_EXISTS", message, folder);
  }
  let found: string[];
  try {
    found = readdirSync(folder).filter((name) => !name.startsWith(LOCK));
  } catch (error) {
    throw readError(error, folder, "Output folder");
  }
  if (found.length === 0 || mayHoldResults) return;
  const named = found.slice(0, 4).join(", ") + (found.length > 4 ? ", ..." : "");
  throw new LowrankError(
    "E_OUTPUT_EXISTS",
    `${folder} is not empty (${named}). Choose another --output_dir, go on with --resume, or replace an earlier run's results with --overwrite_output_dir.`,
    folder,
  );
}

/** Makes the folder, without the results of an earlier run. Files that are not ours stay. */
export function beginOutput(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      if (OURS.test(name)) rmSync(join(folder, name), { recursive: true });
    }
  } catch (error) {
    throw writeError(error, folder);
  }
}
