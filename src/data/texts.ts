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

/**
 * Reads the text column of every file; the extension says how. Everything is parsed here, so that a broken row is found
 * before training starts.
 * @param names files, folders and patterns, see `dataFiles`
 * @throws LowrankError naming the file and its line or row
 */
export async function readTexts(names: string[], textColumn: string): Promise<TextRows> {
  const texts = new TextRows();
  for (const file of dataFiles(names)) {
    const format = await formatOf(file);
    const before = texts.length;
    texts.begin(file, format.unit);
    for await (const rows of format.read(file, textColumn)) {
      for (const row of rows) texts.add(textOf(row, textColumn, file, format.unit), row.at);
    }
    if (texts.length === before) {
      throw new LowrankError(
        "E_DATA_EMPTY",
        `Data file ${file} holds no texts: it is empty or has a header only.`,
        file,
      );
    }
  }
  return texts;
}
