import type { Format } from "./format.js";
import { readLines } from "./lines.js";

/** Plain text: every line that is not blank is a text, in the column `text`. */
export const plain: Format = {
  extensions: [".txt", ".md"],
  gzip: true,
  unit: "line",
  async *read(file) {
    for await (const lines of readLines(file)) {
      yield lines
        .map(({ text, number }) => ({ columns: { text: text.replace(/\r$/, "") }, at: number }))
        .filter(({ columns }) => columns.text.trim() !== "");
    }
  },
};
