import { LowrankError } from "../../base/errors.js";
import { suggestion } from "../../base/nearest.js";

/** What an example of a plain text file is; `datasets` calls the last one a document. */
export type TextBy = "line" | "paragraph" | "file";

/** The character between fields of CSV and TSV. */
export type Separator = "comma" | "semicolon" | "tab" | "pipe";

/** How the texts of data files are found in them. */
export interface ReadOptions {
  /** Column or key that holds the text. */
  column: string;
  /** JSON: the key that the rows are under. Without it they are the file itself. */
  jsonField?: string | undefined;
  /** Plain text: what a text is. Default line, for Markdown file. */
  textBy?: TextBy | undefined;
  /** CSV and TSV: what is between fields. Default by the extension. */
  csvSeparator?: Separator | undefined;
  /** CSV and TSV: "none" reads quotes as the characters that they are, "minimal" as what opens a field. Without it as the latter, but an error where that is in doubt. */
  csvQuoting?: "minimal" | "none" | undefined;
  /** Bytes that a text, with the row that it is in, may have. Default `MOST_TEXT_BYTES`. */
  mostBytes?: number | undefined;
}

/** A text, or what stands in its place. */
export interface Row {
  value: unknown;
  /** 1-based line or row of the file, see `Format.unit`. */
  at: number;
}

/** How files with certain extensions are read. */
export interface Format {
  extensions: string[];
  /** Whether the file may also be compressed with gzip, with .gz after its extension. */
  gzip: boolean;
  /** What `Row.at` counts. */
  unit: "line" | "row";
  /**
   * Rows in file order, some at a time. A format that keeps its columns apart may read the wanted one only.
   * @throws LowrankError naming file and place, `noColumn` where a row has no such column
   */
  read(file: string, options: ReadOptions): AsyncIterable<Row[]>;
}

/** Names that an error lists and compares with the wanted one: a file may have any number, of any length. */
const MOST_NAMES = 50;
const LONGEST_NAME = 100;

/**
 * @param place the file, with the line or row where it has any
 * @param advice what the file looks like and what to do; else to name a column
 */
export function noColumn(place: string, column: string, found: string[], file: string, advice?: string): LowrankError {
  const names = found.filter((name) => name.length <= LONGEST_NAME).slice(0, MOST_NAMES);
  const more = found.length > names.length ? ` and ${found.length - names.length} more` : "";
  return new LowrankError(
    "E_TEXT_COLUMN",
    `${place}: there is no column "${column}"${advice === undefined ? suggestion(column, names) : ""}. ` +
      `Columns found: ${names.join(", ") || "none"}${more}. ${advice ?? "Name one with --text_column."}`,
    file,
  );
}
