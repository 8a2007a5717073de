import { LowrankError } from "../../base/errors.js";
import { suggestion } from "../../base/nearest.js";

/** The unit of an example of a plain text file; `datasets` calls a file a document. */
export type TextBy = "line" | "paragraph" | "file";

/** The character between fields of CSV and TSV. */
export type Separator = "comma" | "semicolon" | "tab" | "pipe";

/** A wanted column of each row, or key of JSON. */
export interface Column {
  name: string;
  /**
   * "texts": every value must be a text, and is checked to be one. "values": values of any type, as `readExactJson` gives them: floats
   * are `Float`, nested values lists and objects or Maps.
   */
  holds: "texts" | "values";
  /** Whether files and rows may lack it: its values are null there. Of a column of values. */
  isOptional?: true;
}

/** How the rows of data files are found in them. */
export interface ReadOptions {
  /** JSON: the key that the rows are under. Without it they are the file itself. */
  jsonField?: string | undefined;
  /** Plain text: the part of a file that is a text. Default line, for Markdown file. */
  textBy?: TextBy | undefined;
  /** CSV and TSV: the character between fields. Default by the extension. */
  csvSeparator?: Separator | undefined;
  /** CSV and TSV: "minimal" reads a quote that begins a field as its opening, "none" reads quotes as characters. Default minimal, with an error where either may be right. */
  csvQuoting?: "minimal" | "none" | undefined;
  /** Bytes that a text, with the row that it is in, may have. Default `MOST_TEXT_BYTES`. */
  mostBytes?: number | undefined;
}

/** The wanted values of a row. */
export interface Row {
  /** Values in the order of the wanted columns. Values of a column of texts are not checked yet. */
  values: unknown[];
  /** 1-based line or row of the file, see `Format.unit`. */
  at: number;
}

/** How files with certain extensions are read. */
export interface Format {
  extensions: string[];
  /** Whether the file may also be compressed with gzip, with .gz after its extension. */
  gzip: boolean;
  /** The unit that `Row.at` counts. */
  unit: "line" | "row";
  /**
   * Rows in file order, some at a time. A format that keeps its columns apart reads the wanted ones only.
   * @param columns at least one, none twice
   * @throws LowrankError naming file and place, `noColumn` where a row lacks a column
   */
  read(file: string, columns: Column[], options: ReadOptions): AsyncIterable<Row[]>;
  /** The number of rows, where the file tells it. */
  count?(file: string): Promise<number>;
}

/** Names that an error lists and compares with the wanted one: a file may have any number, of any length. */
const MOST_NAMES = 50;
const LONGEST_NAME = 100;

/**
 * @param place the file, with the line or row where it has any
 * @param advice the probable nature of the file and the remedy; else to name a column
 */
export function noColumn(place: string, column: string, found: string[], file: string, advice?: string): LowrankError {
  const names = found.filter((name) => name.length <= LONGEST_NAME).slice(0, MOST_NAMES);
  const more = found.length > names.length ? ` and ${found.length - names.length} more` : "";
  return new LowrankError(
    "E_TEXT_COLUMN",
    `${place}: there is no column "${column}"${advice === undefined ? suggestion(column, names) : ""}. ` +
      `Columns found: ${names.join(", ") || "none"}${more}. ${advice ?? "Name one with --text_column, or say with --data_format what the rows are."}`,
    file,
  );
}
