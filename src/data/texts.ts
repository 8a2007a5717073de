// Text files of any known format to one list of texts.
import { statSync } from "node:fs";
import { extname } from "node:path";
import { LowrankError } from "../errors.js";
import { kindOf } from "../model/index.js";
import { suggestion } from "../nearest.js";
import { readError } from "../system-errors.js";
import { csv, tsv } from "./formats/csv.js";
import type { Format, Row } from "./formats/format.js";
import { jsonArray, jsonLines, looksLikeJsonLines } from "./formats/json.js";
import { plain } from "./formats/plain.js";

/** The one table of formats. */
const FORMATS: Format[] = [jsonLines, jsonArray, csv, tsv, plain];

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

/** @throws LowrankError E_FILE_MISSING, E_FILE, E_DATA_FORMAT */
function formatOf(file: string): Format {
  let isFolder: boolean;
  try {
    isFolder = statSync(file).isDirectory();
  } catch (error) {
    throw readError(error, file, "Data file");
  }
  const extension = extname(file).toLowerCase();
  const format = FORMATS.find(({ extensions }) => extensions.includes(extension));
  if (isFolder || format === undefined) {
    const known = FORMATS.flatMap(({ extensions }) => extensions).join(", ");
    const found = isFolder ? "is a folder" : extension === "" ? "has no extension" : `has the extension ${extension}`;
    throw new LowrankError("E_DATA_FORMAT", `Data file ${file} ${found}, expected a file with one of ${known}.`, file);
  }
  return format === jsonArray && looksLikeJsonLines(file) ? jsonLines : format;
}

function textOf({ columns, at }: Row, column: string, file: string, unit: string): string {
  const text = Object.hasOwn(columns, column) ? columns[column] : undefined;
  if (typeof text === "string") return text;
  const place = `${file}, ${unit} ${at}`;
  if (text !== undefined) {
    throw new LowrankError("E_DATA_ROW", `${place}: column "${column}" is ${kindOf(text)}, expected a text.`, file);
  }
  const found = Object.keys(columns);
  throw new LowrankError(
    "E_TEXT_COLUMN",
    `${place}: there is no column "${column}"${suggestion(column, found)}. ` +
      `Columns found: ${found.join(", ") || "none"}. Name one with --text_column.`,
    file,
  );
}

/**
 * Reads the text column of every file; the extension says how. Everything is parsed here, so that a broken row is found
 * before training starts.
 * @throws LowrankError naming the file and its line or row
 */
export async function readTexts(files: string[], textColumn: string): Promise<TextRows> {
  const texts = new TextRows();
  for (const file of files) {
    const format = formatOf(file);
    const before = texts.length;
    texts.begin(file, format.unit);
    for await (const rows of format.read(file)) {
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
