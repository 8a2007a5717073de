// report.html and its plots as files of their own.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeError } from "../base/system-errors.js";
import { type Run, writeWhole } from "./facts.js";
import { page } from "./page.js";
import { asFile, type Plot } from "./plot.js";
import { plotsOf } from "./plots.js";
import { rankPictures } from "./rank-pictures.js";
import { FIXED } from "./theme.js";
import { Thread } from "./thread.js";

export const REPORT = "report.html";
/** Folder of the plots, beside the page. */
export const PLOTS = "report_files";

/** Whether a plot shows more than one number. */
function isCurve(plot: Plot): boolean {
  return plot.kind !== "curves" || plot.curves.some(({ points }) => points.length > 1);
}

export interface Written {
  page: string;
  plots: number;
  /** Set where there are no PNG files. */
  note?: string;
}

let last: Promise<unknown> = Promise.resolve();

/**
 * Writes the page of one run, or of several beside each other, and each plot as SVG and PNG. A run whose curves are one point has
 * no files of plots. Reports are drawn one after the other, for each takes memory.
 * @throws LowrankError E_WRITE
 */
export function writeReport(runs: readonly Run[], folder: string): Promise<Written> {
  const written = last.then(() => write(runs, folder));
  last = written.catch(() => {});
  return written;
}

async function write(runs: readonly Run[], folder: string): Promise<Written> {
  const curves = plotsOf(runs);
  // Its thread ends before the plots' begins: both together would take more memory.
  const all = [...curves, ...(await rankPictures(runs))];
  writeWhole(join(folder, REPORT), page(runs, all));
  const files = join(folder, PLOTS);
  rmSync(files, { recursive: true, force: true });
  const written = { page: join(folder, REPORT), plots: 0 };
  if (!curves.some((plot) => plot.kind === "curves" && isCurve(plot))) return written;
  try {
    mkdirSync(files);
  } catch (error) {
    throw writeError(error, files);
  }
  await using thread = new Thread<string, Uint8Array | null>("png-worker.js");
  let hasPng = true;
  for (const plot of all.filter(isCurve)) {
    const svg = asFile(plot, FIXED);
    writeWhole(join(files, `${plot.id}.svg`), svg);
    const png = await thread.ask(svg);
    if (png) writeWhole(join(files, `${plot.id}.png`), png);
    else hasPng = false;
    written.plots++;
  }
  const note = hasPng ? {} : { note: "plots are written as SVG alone: for PNG, npm install @resvg/resvg-js" };
  return { ...written, ...note };
}
