// Text files of any known format to one list of texts.
import { LowrankError } from "../errors.js";
import { kindOf } from "../model/index.js";
import { dataFiles } from "./files.js";
import { type Format, noColumn, type Row } from "./formats/format.js";
import { formatOf } from "./formats/table.js";

/** The texts of some files, in order. */
export class TextRows {
  readonly files: string[] = [];
  readonly #texts: string[] = [];
  readonly #at: number[] = [];
  /** Of each file: its first row, and what it counts. */
  readonly #starts: { first: number; unit: Format["unit"] }[] = [];

  get length(): number {
    return this.#texts.length;
  }

  text(i: number): string {
    return this.#texts[this.#check(i)]!;
  }

  /** Where a text comes from: "train.jsonl, line 12". */
  where(i: number): string {
    const at = this.#at[this.#check(i)];
    const f = this.#starts.findLastIndex(({ first }) => first <= i);
    return `${this.files[f]}, ${this.#starts[f]!.unit} ${at}`;
  }

  begin(file: string, unit: Format["unit"]): void {
    this.files.push(file);
    this.#starts.push({ first: this.length, unit });
  }

  add(text: string, at: number): void {
    this.#texts.push(text);
    this.#at.push(at);
  }

  #check(i: number): number {
    if (i >= 0 && i < this.length && Number.isInteger(i)) return i;
    throw new LowrankError("E_ARGUMENT", `There is no row ${i} in ${this.length} texts.`);
  }
}

/** JSON's escapes can write what no text in UTF-8 can hold. */
const LONE_SURROGATE = /\p{Surrogate}/u;

function textOf({ columns, at }: Row, column: string, file: string, unit: string): string {
  const text = Object.hasOwn(columns, column) ? columns[column] : undefined;
  const place = `${file}, ${unit} ${at}`;
  if (typeof text === "string") {
    const half = LONE_SURROGATE.exec(text);
    if (half === null) return text;
    const found = `half a character, \\u${half[0].charCodeAt(0).toString(16)} without its other half`;
    const message = `${place}: column "${column}" holds ${found}. Repair the text or leave the row out.`;
    throw new LowrankError("E_DATA_ROW", message, file);
  }
  if (text !== undefined) {
    throw new LowrankError("E_DATA_ROW", `${place}: column "${column}" is ${kindOf(text)}, expected a text.`, file);
  }
  throw noColumn(place, column, Object.keys(columns), file);
}

/** Some texts of a file, in order. */
export interface TextBlock {
  file: string;
  /** What `at` counts. */
  unit: Format["unit"];
  rows: { text: string; at: number }[];
}

/**
 * The text column of every file, a block at a time; the extension says how a file is read. No file is held whole.
 * @param files as `dataFiles` gives them
 * @throws LowrankError naming the file and its line or row
 */
export async function* textBlocks(files: string[], textColumn: string): AsyncGenerator<TextBlock, void, undefined> {
  for (const file of files) {
    const { unit, read } = await formatOf(file);
    let found = false;
    for await (const rows of read(file, textColumn)) {
      if (rows.length === 0) continue;
      found = true;
      yield { file, unit, rows: rows.map((row) => ({ text: textOf(row, textColumn, file, unit), at: row.at })) };
    }
    if (!found) {
      throw new LowrankError(
        "E_DATA_EMPTY",
        `Data file ${file} holds no texts: it is empty or has a header only.`,
        file,
      );
    }
  }
}

/** Where the n-th text of some files (counted from 0) comes from: "train.jsonl, line 12". Reads them again up to there. */
export async function placeOf(files: string[], textColumn: string, n: number): Promise<string> {
  let before = 0;
  for await (const { file, unit, rows } of textBlocks(files, textColumn)) {
    const row = rows[n - before];
    if (row !== undefined) return `${file}, ${unit} ${row.at}`;
    before += rows.length;
  }
  return `text ${n + 1}`;
}

/**
 * The text column of every file, held in memory.
 * @param names files, folders and patterns, see `dataFiles`
 * @throws LowrankError naming the file and its line or row
 */
export async function readTexts(names: string[], textColumn: string): Promise<TextRows> {
  const texts = new TextRows();
  for await (const { file, unit, rows } of textBlocks(dataFiles(names).files, textColumn)) {
    if (texts.files.at(-1) !== file) texts.begin(file, unit);
    for (const { text, at } of rows) texts.add(text, at);
  }
  return texts;
}
