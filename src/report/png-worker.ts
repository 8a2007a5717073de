// Thread: a plot from SVG to PNG. Encoding alone takes tens of milliseconds.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { answerJobs } from "./thread.js";

/** Pixels of a PNG's width. */
const WIDTH = 1440;
const FONT = fileURLToPath(new URL("../../assets/plot-font.ttf", import.meta.url));
/** Characters that the font of ours has. */
const KNOWN = /^[\n\x20-\x7e\xa0-\xff\u0391-\u03c9\u2013-\u2026\u2212\u2264\u2265]*$/;

/** Null where the package is not installed, which is an optional one. */
function rasterizer(): typeof import("@resvg/resvg-js") | null {
  try {
    return createRequire(import.meta.url)("@resvg/resvg-js");
  } catch {
    return null;
  }
}
const resvg = rasterizer();

answerJobs((svg: string): Uint8Array | null => {
  if (!resvg) return null;
  const font = { fontFiles: [FONT], defaultFontFamily: "DejaVu Sans", loadSystemFonts: !KNOWN.test(svg) };
  return new resvg.Resvg(svg, { fitTo: { mode: "width", value: WIDTH }, font }).render().asPng();
});
