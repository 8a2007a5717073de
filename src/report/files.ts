// report.html and its plots as files of their own.
import { mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
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

/** A thread of its own draws. */
type Rasterize = (svg: string) => Promise<Uint8Array>;

/** @returns the rasteriser; null where its package is not installed, which is an optional one */
function rasterizer(): Rasterize | null {
  const require = createRequire(import.meta.url);
  try {
    const { renderAsync } = require("@resvg/resvg-js") as typeof import("@resvg/resvg-js");
    let before: Promise<unknown> = Promise.resolve();
    return (svg) => {
      const font = { fontFiles: [FONT], defaultFontFamily: "DejaVu Sans", loadSystemFonts: !KNOWN.test(svg) };
      const image = renderAsync(svg, { fitTo: { mode: "width", value: WIDTH }, font });
      // Encoding takes this thread 20 ms: the event loop has its turn between two pictures.
      const png = Promise.all([image, before]).then(async ([drawn]) => {
        await setImmediate();
        return drawn.asPng();
      });
      before = png.catch(() => {});
      return png;
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
export async function writeReport(runs: readonly Run[], folder: string): Promise<Written> {
  const curves = plotsOf(runs);
  const files = curves.some((plot) => plot.kind === "curves" && isCurve(plot)) ? join(folder, PLOTS) : null;
  const png = rasterizer();
  const draw = (plot: Plot) => {
    const svg = asFile(plot, FIXED);
    const picture = png?.(svg);
    // An error of another plot may come first.
    picture?.catch(() => {});
    return { id: plot.id, svg, picture };
  };
  const toFile = (plots: Plot[]) => (files ? plots.filter(isCurve).map(draw) : []);
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
  for (const { id, svg, picture } of drawn) {
    writeWhole(join(files, `${id}.svg`), svg);
    if (picture) writeWhole(join(files, `${id}.png`), await picture);
  }
  const note = png ? {} : { note: "plots are written as SVG alone: for PNG, npm install @resvg/resvg-js" };
  return { ...written, plots: drawn.length, ...note };
}
