import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { writeError } from "../base/system-errors.js";
import type { CommandOptions } from "../config/index.js";
import { writeReport } from "../report/files.js";
import { readRun } from "../report/index.js";
import { warn } from "./warn.js";

/** Where the page of several runs goes that were given no folder. */
const COMPARED = "report";

/** `lowrank report`: the page of one run, or of several beside each other. */
export async function run({ folders, output_dir, json }: CommandOptions<"report">): Promise<void> {
  const runs = named(folders.map(readRun));
  const folder = output_dir ?? (folders.length === 1 ? folders[0]! : COMPARED);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw writeError(error, folder);
  }
  const { page, plots, note } = await writeReport(runs, folder);
  if (note) warn(note);
  const found = { report: resolve(page), runs: runs.map(({ name }) => name), plots };
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : `wrote ${page}\n`);
}

/** Runs by names of their own: where two have the same one, by their folders. */
function named(runs: ReturnType<typeof readRun>[]): typeof runs {
  const isTaken = (name: string) => runs.filter((run) => run.name === name).length > 1;
  return runs.map((run) => (isTaken(run.name) ? { ...run, name: run.folder } : run));
}
