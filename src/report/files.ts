// report.html and its plots as files of their own.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeError } from "../base/system-errors.js";
import { type Run, writeWhole } from "./facts.js";
import { page } from "./page.js";
import { asFile, type Plot } from "./plot.js";
import { plotsOf } from "./plots.js";
import { rankPictures } from "./rank-pictures.js";
import { FIXED } from "./theme.js";

export const REPORT = "report.html";
/** Folder of the plots, beside the page. */
export const PLOTS = "report_files";

/** Pixels of a PNG's width. */
const WIDTH = 1440;
const FONT = fileURLToPath(new URL("../../assets/plot-font.ttf", import.meta.url));
/** Characters that the font of ours has. */
const KNOWN = /^[\n\x20-\x7e\xa0-\xff\u0391-\u03c9\u2013-\u2026\u2212\u2264\u2265]*$/;

type Rasterize = (svg: string) => Uint8Array;

/** @returns the rasteriser; null where its package is not installed, which is an optional one */
function rasterizer(): Rasterize | null {
  const require = createRequire(import.meta.url);
  try {
    const { Resvg } = require("@resvg/resvg-js") as typeof import("@resvg/resvg-js");
    return (svg) => {
      const font = { fontFiles: [FONT], defaultFontFamily: "DejaVu Sans", loadSystemFonts: !KNOWN.test(svg) };
      return new Resvg(svg, { fitTo: { mode: "width", value: WIDTH }, font }).render().asPng();
    };
  } catch {
    return null;
  }
}

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
export function writeReport(runs: readonly Run[], folder: string): Written {
  const plots = [...plotsOf(runs), ...rankPictures(runs)];
  const files = join(folder, PLOTS);
  writeWhole(join(folder, REPORT), page(runs, plots));
  if (existsSync(files)) rmSync(files, { recursive: true });
  const written = { page: join(folder, REPORT), plots: 0 };
  if (!plots.some((plot) => plot.kind === "curves" && isCurve(plot))) return written;
  try {
    mkdirSync(files);
  } catch (error) {
    throw writeError(error, files);
  }
  const png = rasterizer();
  const drawn = plots.filter(isCurve);
  for (const plot of drawn) {
    const svg = asFile(plot, FIXED);
    writeWhole(join(files, `${plot.id}.svg`), svg);
    if (png) writeWhole(join(files, `${plot.id}.png`), png(svg));
  }
  const note = png ? {} : { note: "plots are written as SVG alone: for PNG, npm install @resvg/resvg-js" };
  return { ...written, plots: drawn.length, ...note };
}
