import { LowrankError } from "../../errors.js";
import { suggestion } from "../../nearest.js";

/** A row of a data file, before its text column is looked up. */
export interface Row {
  columns: Record<string, unknown>;
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
   * Rows in file order, some at a time. A format that keeps its columns apart may read the wanted one only, and throws
   * `noColumn` where it is not there.
   * @throws LowrankError naming file and place
   */
  read(file: string, column: string): AsyncIterable<Row[]>;
}

/** @param place the file, with the line or row where it has any */
export function noColumn(place: string, column: string, found: string[], file: string): LowrankError {
  return new LowrankError(
    "E_TEXT_COLUMN",
    `${place}: there is no column "${column}"${suggestion(column, found)}. ` +
      `Columns found: ${found.join(", ") || "none"}. Name one with --text_column.`,
    file,
  );
}
