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

/**
 * Writes the page of one run, or of several beside each other, and each plot as SVG and PNG. A run whose curves are one point has
 * no files of plots.
 * @throws LowrankError E_WRITE
 */
export async function writeReport(runs: readonly Run[], folder: string): Promise<Written> {
  const curves = plotsOf(runs);
  const files = curves.some((plot) => plot.kind === "curves" && isCurve(plot)) ? join(folder, PLOTS) : null;
  await using thread = files === null ? null : new Thread<string, Uint8Array | null>("png-worker.js");
  const draw = (plot: Plot) => {
    const svg = asFile(plot, FIXED);
    const picture = thread!.ask(svg);
    // An error of another plot may come first.
    picture.catch(() => {});
    return { id: plot.id, svg, picture };
  };
  const toFile = (plots: Plot[]) => (thread ? plots.filter(isCurve).map(draw) : []);
  // These are drawn while the adapters are analysed.
  const drawn = toFile(curves);
  const pictures = await rankPictures(runs);
  writeWhole(join(folder, REPORT), page(runs, [...curves, ...pictures]));
  rmSync(join(folder, PLOTS), { recursive: true, force: true });
  const written = { page: join(folder, REPORT), plots: 0 };
  if (!files) return written;
  try {
    mkdirSync(files);
  } catch (error) {
    throw writeError(error, files);
  }
  drawn.push(...toFile(pictures));
  let hasPng = true;
  for (const { id, svg, picture } of drawn) {
    writeWhole(join(files, `${id}.svg`), svg);
    const png = await picture;
    if (png) writeWhole(join(files, `${id}.png`), png);
    else hasPng = false;
  }
  const note = hasPng ? {} : { note: "plots are written as SVG alone: for PNG, npm install @resvg/resvg-js" };
  return { ...written, plots: drawn.length, ...note };
}
