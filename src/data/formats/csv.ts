// CSV and TSV: the wanted columns of their records.
import type { LowrankError } from "../../base/errors.js";
import { Records, SEPARATORS, separatorAdvice } from "./csv-records.js";
import { type Column, type Format, noColumn, type ReadOptions, type Row, type Separator } from "./format.js";
import { mostBytes } from "./text-size.js";
import { readUtf8 } from "./utf8.js";

/** Names of columns as pandas gives them: of two with the same name, the second is `name.1`. */
function columnNames(header: string[]): string[] {
  const names = new Set<string>();
  for (const name of header) {
    let own = name;
    for (let n = 1; names.has(own); n++) own = `${name}.${n}`;
    names.add(own);
  }
  return [...names];
}

/** Where a header is read with the wrong separator: the right one. */
function rightSeparator(names: string[], column: string): string | undefined {
  const isOf = (separator: string) =>
    names
      .join()
      .split(separator)
      .some((name) => name.replace(/^"(.*)"$/, "$1") === column);
  return names.length === 1 ? Object.values(SEPARATORS).find(isOf) : undefined;
}

/** The wanted columns of the records that a scanner gives. */
class RowReader {
  readonly #file: string;
  readonly #columns: Column[];
  /** Whether records are to be looked at that may be several, written without quoting. */
  readonly #isWary: boolean;
  /** Number of fields in the header; 0 before it. */
  #fields = 0;
  /** Number of each wanted column among the fields; -1 where there is none. */
  #fieldsOf: number[] = [];
  rows: Row[] = [];

  constructor(file: string, columns: Column[], isWary: boolean) {
    this.#file = file;
    this.#columns = columns;
    this.#isWary = isWary;
  }

  add(record: Records): void {
    if (this.#fields === 0) this.#begin(record);
    else if (record.fields === this.#fields) {
      if (this.#isWary && this.#fields > 1 && record.hasRecordsIn(this.#fields)) throw this.#doubt(record);
      this.rows.push({
        values: this.#fieldsOf.map((field) => (field < 0 ? null : record.text(field))),
        at: record.line,
      });
    } else {
      const found = `not as many fields as the header has (${record.fields}, not ${this.#fields})`;
      throw record.problem(`${found}; a field with the separator or a line end in it needs quotes`);
    }
  }

  #doubt(record: Records): LowrankError {
    const found = "a quoted field goes over several lines, each of which would be a record if quotes had no meaning";
    return record.problem(
      `${found}. Read the file with --csv_quoting none if they have none, else with --csv_quoting minimal`,
    );
  }

  #begin(header: Records): void {
    this.#fields = header.fields;
    const names = columnNames(Array.from({ length: header.fields }, (_, i) => header.text(i)));
    this.#fieldsOf = this.#columns.map(({ name }) => names.indexOf(name));
    const missing = this.#columns.find(({ isOptional }, i) => this.#fieldsOf[i] === -1 && !isOptional)?.name;
    if (missing === undefined) return;
    const separator = rightSeparator(names, missing);
    const advice = separator && separatorAdvice(separator);
    throw noColumn(`${this.#file}, line ${header.line}`, missing, names, this.#file, advice);
  }
}

async function* read(file: string, columns: Column[], options: ReadOptions, own: Separator): AsyncGenerator<Row[]> {
  const separator = options.csvSeparator ?? own;
  // Text with tabs in each of its lines is rare, and quotes in files with tabs often have no meaning.
  const reader = new RowReader(file, columns, separator === "tab" && options.csvQuoting === undefined);
  const quotes = options.csvQuoting !== "none";
  const take = (record: Records) => reader.add(record);
  const scanner = new Records(file, separator, quotes, mostBytes(options), take);
  for await (const chunk of readUtf8(file)) {
    scanner.push(chunk);
    yield reader.rows;
    reader.rows = [];
  }
  scanner.end();
  yield reader.rows;
}

function separated(extension: string, separator: Separator): Format {
  return {
    extensions: [extension],
    gzip: true,
    unit: "line",
    read: (file, columns, options) => read(file, columns, options, separator),
  };
}

export const csv = separated(".csv", "comma");
export const tsv = separated(".tsv", "tab");
