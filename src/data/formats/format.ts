/** A row of a data file, before its text column is looked up. */
export interface Row {
  columns: Record<string, unknown>;
  /** 1-based line or row of the file, see `Format.unit`. */
  at: number;
}

/** How files with certain extensions are read. */
export interface Format {
  extensions: string[];
  /** What `Row.at` counts. */
  unit: "line" | "row";
  /** Rows in file order, some at a time. @throws LowrankError naming file and place */
  read(file: string): AsyncIterable<Row[]>;
}
