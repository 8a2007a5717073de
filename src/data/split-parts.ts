// Parts of splits, as datasets' ReadInstruction has them: train[:10%]+validation[100:200].
import { LowrankError } from "../base/errors.js";
import type { DataFile } from "./data-file.js";
import type { ReadOptions } from "./formats/format.js";
import { countRows } from "./rows.js";

/** Some rows of a split. */
export interface SplitPart {
  /** As it was written. */
  text: string;
  split: string;
  /** Numbers of rows, or percents of them; below 0 from the end. Undefined: the split's beginning or end. */
  from?: number | undefined;
  to?: number | undefined;
  unit: "rows" | "%";
  /** Percents of a row: to the nearest number of rows, or multiples of a whole number of rows for each percent. */
  rounding: "closest" | "pct1_dropremainder";
}

const PART = /^([\p{L}\p{N}_]+(?:\.[\p{L}\p{N}_]+)*)(?:\[(?:(-?[\d_]+)(%)?)?:(?:(-?[\d_]+)(%)?)?\])?(?:\(([^)]*)\))?$/u;

const usage = (message: string) => new LowrankError("E_USAGE", message, "dataset_split");

function splitPart(text: string): SplitPart {
  const [, split, from, fromShare, to, toShare, rounding] = PART.exec(text) ?? [];
  if (split === undefined) {
    throw usage(
      `${text} is no part of a split: expected one such as train, train[:10%], train[100:200] or train[-80%:].`,
    );
  }
  const number = (digits: string | undefined) => (digits ? Number(digits.replaceAll("_", "")) : undefined);
  const unit = fromShare || toShare ? "%" : "rows";
  const part = { text, split, from: number(from), to: number(to), unit } as const;
  if (unit === "%" && [part.from, part.to].some((share) => share !== undefined && Math.abs(share) > 100)) {
    throw usage(`${text}: percents are from -100 to 100.`);
  }
  if (rounding !== undefined && rounding !== "closest" && rounding !== "pct1_dropremainder") {
    throw usage(`${text}: the rounding is ${rounding}, expected closest or pct1_dropremainder.`);
  }
  if (rounding !== undefined && unit !== "%") throw usage(`${text}: there is nothing to round without percents.`);
  return { ...part, rounding: rounding ?? "closest" };
}

/** @param named a split, a part of one or several with + @throws LowrankError E_USAGE */
export function splitParts(named: string): SplitPart[] {
  // A split of a folder or of a card may have any name.
  if (!/[[\]()+]/.test(named)) return [{ text: named, split: named, unit: "rows", rounding: "closest" }];
  return named.split(/\s*\+\s*/).map(splitPart);
}

/** To the nearest whole number, and to the even one between two, as Python rounds. */
function rounded(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return below + Number(rest > 0.5 || (rest === 0.5 && below % 2 !== 0));
}

/** The rows of a part of a split, from `from` to before `to`. @param rows of the split @throws LowrankError E_USAGE, E_DATA_EMPTY */
export function partRange(part: SplitPart, rows: number): { from: number; to: number } {
  const { text, unit, rounding } = part;
  const isWhole = rounding === "pct1_dropremainder";
  if (isWhole && rows < 100)
    throw usage(`${text}: a percent of ${rows} rows has no whole row with pct1_dropremainder.`);
  const inRows = (given: number) => {
    if (unit === "rows") return given;
    return isWhole ? given * Math.floor(rows / 100) : rounded((given * rows) / 100);
  };
  const bound = (given: number | undefined, otherwise: number) => {
    const at = given === undefined ? otherwise : inRows(given);
    return Math.min(at < 0 ? Math.max(rows + at, 0) : at, rows);
  };
  const [from, to] = [bound(part.from, 0), bound(part.to, rows)];
  if (from < to) return { from, to };
  throw new LowrankError("E_DATA_EMPTY", `${text} holds no rows: the split ${part.split} has ${rows}.`, text);
}

/** The rows of a part in the files of its split, in words and as parts of the files. */
export async function partFiles(
  part: SplitPart,
  files: string[],
  options: ReadOptions,
): Promise<{ files: DataFile[]; note?: string }> {
  if (part.from === undefined && part.to === undefined) return { files };
  const counts: number[] = [];
  for (const file of files) counts.push(await countRows(file, options));
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const { from, to } = partRange(part, rows);
  let before = 0;
  const parts = files.map((file, i) => {
    const begin = before;
    before += counts[i]!;
    return { file, from: Math.max(from - begin, 0), to: Math.min(to - begin, counts[i]!) };
  });
  const note = `${part.text}: rows ${from + 1} to ${to} of ${rows}`;
  return { files: parts.filter((one) => one.from < one.to), note };
}
