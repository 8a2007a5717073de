// The texts of data files, held in memory.
import { LowrankError } from "../base/errors.js";
import { dataFiles } from "./files.js";
import type { Format, ReadOptions } from "./formats/format.js";
import { readRows } from "./rows.js";

/** The texts of some files, in order. */
export class TextRows {
  readonly files: string[] = [];
  readonly #texts: string[] = [];
  readonly #at: number[] = [];
  /** For each file: its first row, and the unit that its places count. */
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

/** How the texts of data files are found in them. */
export interface TextReadOptions extends ReadOptions {
  /** Column or key that holds the text. */
  column: string;
}

/**
 * The texts of every file, held in memory.
 * @param names files, folders and patterns, see `dataFiles`
 * @param from the column that holds the text, or all that decides how files are read
 * @throws LowrankError naming the file and its line or row
 */
export async function readTexts(names: string[], from: string | TextReadOptions): Promise<TextRows> {
  const { column, ...options } = typeof from === "string" ? { column: from } : from;
  const texts = new TextRows();
  for await (const { file, unit, rows } of readRows(
    dataFiles(names).files,
    [{ name: column, holds: "texts" }],
    options,
  )) {
    if (texts.files.at(-1) !== file) texts.begin(file, unit);
    for (const { values, at } of rows) texts.add(values[0] as string, at);
  }
  return texts;
}
