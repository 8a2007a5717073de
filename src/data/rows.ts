// Data files of any known format to rows of the wanted columns.
import { LowrankError } from "../base/errors.js";
import { kindOf } from "../base/json.js";
import { type DataFile, type FilePart, partOf, pathOf } from "./data-file.js";
import type { Column, Format, ReadOptions, Row } from "./formats/format.js";
import { formatOf } from "./formats/format-table.js";
import { openPipe } from "./formats/pipe.js";

/** Some rows of a file, in order. */
export interface RowBlock {
  file: string;
  /** The unit that `Row.at` counts. */
  unit: Format["unit"];
  /** The values of columns of texts are texts. */
  rows: Row[];
}

/** JSON's escapes can write lone surrogates, which no text in UTF-8 can hold. */
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Lists and objects within each other: rows are sent to threads and hashed by functions that call themselves. */
const DEEPEST = 100;

/** The fault of a text, if it has one. */
function textProblem(text: string): string | undefined {
  if (text.isWellFormed()) return undefined;
  const half = LONE_SURROGATE.exec(text);
  if (half === null) return undefined;
  const found = `half a character, \\u${half[0].charCodeAt(0).toString(16)} without its other half`;
  return `holds ${found}. Repair the text or leave the row out.`;
}

/** The fault of a nested value's texts, if one has any, in words that follow its name. */
export function valueProblem(value: unknown, depth = 0): string | undefined {
  if (typeof value === "string") return textProblem(value);
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === DEEPEST) return `is nested more than ${DEEPEST} deep.`;
  for (const [key, one] of value instanceof Map ? value : Object.entries(value)) {
    const problem = textProblem(key) ?? valueProblem(one, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** @throws LowrankError E_DATA_ROW */
function checkRow({ values, at }: Row, columns: Column[], file: string, unit: Format["unit"]): void {
  for (const [i, { name, holds }] of columns.entries()) {
    const value = values[i];
    const isWrong = holds === "texts" && typeof value !== "string";
    const problem = isWrong ? `is ${kindOf(value)}, expected a text.` : valueProblem(value);
    if (problem === undefined) continue;
    throw new LowrankError("E_DATA_ROW", `${file}, ${unit} ${at}: column "${name}" ${problem}`, file);
  }
}

/** @param empty of all files, the files without a row */
function noRows(empty: string[]): LowrankError {
  const [file] = empty;
  const found =
    empty.length === 1
      ? `Data file ${file} holds no texts: it is empty or has a header only.`
      : `None of the ${empty.length} data files holds texts: ${file} and the others are empty or have a header only.`;
  return new LowrankError("E_DATA_EMPTY", found, file);
}

/** The rows of a part of a file. */
async function* cut(blocks: AsyncIterable<Row[]>, { from, to }: FilePart): AsyncGenerator<Row[]> {
  let before = 0;
  for await (const rows of blocks) {
    const isAll = before >= from && before + rows.length <= to;
    yield isAll ? rows : rows.slice(Math.max(from - before, 0), Math.max(to - before, 0));
    before += rows.length;
    if (before >= to) return;
  }
}

const NO_COLUMN: Column[] = [{ name: "text", holds: "values", isOptional: true }];

/** The number of rows of a file. @throws LowrankError naming the file, and the line or row of a fault in it */
export async function countRows(file: string, options: ReadOptions): Promise<number> {
  const { count, read } = await formatOf(file, options);
  if (count) return count(file);
  let rows = 0;
  for await (const some of read(file, NO_COLUMN, options)) rows += some.length;
  return rows;
}

/**
 * The rows of every file, some at a time; the extension says how a file is read. No file is held whole.
 * @param files as `dataFiles` gives them
 * @param warn told of a file without rows beside others that have some
 * @param looks whether the files are read again: a pipe stays open for it
 * @throws LowrankError naming the file, its line or row and the column
 */
export async function* readRows(
  files: DataFile[],
  columns: Column[],
  options: ReadOptions,
  warn?: (message: string) => void,
  looks = false,
): AsyncGenerator<RowBlock, void, undefined> {
  const empty: string[] = [];
  for (const part of files) {
    const file = pathOf(part);
    const closePipe = openPipe(file, looks);
    try {
      const { unit, read } = await formatOf(file, options);
      let found = false;
      for await (const rows of cut(read(file, columns, options), partOf(part))) {
        if (rows.length === 0) continue;
        found = true;
        for (const row of rows) checkRow(row, columns, file, unit);
        yield { file, unit, rows };
      }
      if (!found) empty.push(file);
    } finally {
      closePipe();
    }
  }
  if (empty.length === files.length) throw noRows(empty);
  for (const file of empty) warn?.(`data file ${file} holds no texts: it is empty or has a header only`);
}

/**
 * Where some rows of files come from: "train.jsonl, line 12". Reads the files again up to the last of them.
 * @param numbers of rows, counted from 0, in order
 */
export async function placesOf(
  files: DataFile[],
  columns: Column[],
  options: ReadOptions,
  numbers: number[],
): Promise<string[]> {
  const places: string[] = [];
  let before = 0;
  for await (const { file, unit, rows } of readRows(files, columns, options)) {
    for (let row = rows[numbers[places.length]! - before]; row; row = rows[numbers[places.length]! - before]) {
      places.push(`${file}, ${unit} ${row.at}`);
    }
    if (places.length === numbers.length) break;
    before += rows.length;
  }
  return numbers.map((n, i) => places[i] ?? `text ${n + 1}`);
}

/** The first row of some files, which are read later; undefined where they have none, or none of the columns. @param columns all optional */
export async function firstRow(
  files: DataFile[],
  columns: Column[],
  options: ReadOptions,
): Promise<readonly unknown[] | undefined> {
  try {
    for await (const { rows } of readRows(files, columns, options, undefined, true)) return rows[0]!.values;
  } catch (error) {
    if (!(error instanceof LowrankError && error.code === "E_DATA_EMPTY")) throw error;
  }
  return undefined;
}
