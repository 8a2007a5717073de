// The report of a sweep's runs beside each other.
import { holdsRun, readRun } from "../../report/index.js";
import type { SweepResult } from "./result.js";

/**
 * Writes report.html and its plots, by code that is loaded now. Runs that have written nothing are left out.
 * @returns a note, where plots are not whole or there is no report: it ends no sweep
 */
export async function writeSweepReport(folder: string, { runs }: SweepResult): Promise<string | undefined> {
  try {
    const known = runs.flatMap((run) => (run.folder !== null && holdsRun(run.folder) ? [readRun(run.folder)] : []));
    if (known.length === 0) return undefined;
    const { writeReport } = await import("../../report/files.js");
    return (await writeReport(known, folder)).note;
  } catch (error) {
    return `there is no report of the sweep: ${error instanceof Error ? error.message : String(error)}`;
  }
}
