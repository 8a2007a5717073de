// Shows how far tokenising is.
import { statSync } from "node:fs";
import type { Tokenised, TokenTable } from "../data/index.js";
import { bytes, count } from "./text.js";
import type { Shown } from "./token-texts.js";

/** Seconds between two lines where there is no bar. */
const LINE_S = 10;

export interface TokenisingDisplay {
  update(done: Tokenised): void;
  end(table: TokenTable): void;
}

/** @param files that are read */
export function tokenising(files: string[], { progress, log }: Shown): TokenisingDisplay {
  const start = performance.now();
  const total = files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
  let last = start;
  let done: Tokenised | null = null;
  const rates = ({ texts, bytes: read }: Tokenised) => {
    const seconds = (performance.now() - start) / 1000;
    return `${count(Math.round(texts / seconds))} rows/s, ${bytes(read / seconds)}/s`;
  };
  return {
    update(now) {
      if (!done) progress.start("tokenising", total);
      done = now;
      // Compressed files are larger inside than outside.
      progress.update(Math.min(now.bytes, total), rates(now));
      if (performance.now() - last < LINE_S * 1000) return;
      last = performance.now();
      if (!progress.shown) log?.info(`tokenising: ${count(now.texts)} rows, ${bytes(now.bytes)} (${rates(now)})`);
    },
    end(table) {
      const what = `${count(table.texts)} texts, ${count(table.length)} examples`;
      log?.verbose(
        done ? `tokenised ${what}: ${count(done.tokens)} tokens (${rates(done)})` : `${what} from the cache`,
      );
    },
  };
}
