// CSV and TSV: one column of their records.
import { Records, SEPARATORS, type Separator, separatorAdvice } from "./csv-records.js";
import { type Format, noColumn, type ReadOptions, type Row } from "./format.js";
import { mostBytes } from "./size.js";
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

/** The wanted column of the records that a scanner gives. */
class Column {
  readonly #file: string;
  readonly #name: string;
  /** Number of fields in the header; 0 before it. */
  #fields = 0;
  #index = -1;
  rows: Row[] = [];

  constructor(file: string, name: string) {
    this.#file = file;
    this.#name = name;
  }

  add(record: Records): void {
    if (this.#fields === 0) this.#begin(record);
    else if (record.fields === this.#fields) this.rows.push({ value: record.text(this.#index), at: record.line });
    else {
      const found = `not as many fields as the header has (${record.fields}, not ${this.#fields})`;
      throw record.problem(`${found}; a field with the separator or a line end in it needs quotes`);
    }
  }

  #begin(header: Records): void {
    this.#fields = header.fields;
    const names = columnNames(Array.from({ length: header.fields }, (_, i) => header.text(i)));
    this.#index = names.indexOf(this.#name);
    if (this.#index >= 0) return;
    const separator = rightSeparator(names, this.#name);
    const advice = separator && separatorAdvice(separator);
    throw noColumn(`${this.#file}, line ${header.line}`, this.#name, names, this.#file, advice);
  }
}

async function* read(file: string, options: ReadOptions, own: Separator): AsyncGenerator<Row[]> {
  const column = new Column(file, options.column);
  const quotes = options.csvQuoting !== "none";
  const take = (record: Records) => column.add(record);
  const scanner = new Records(file, options.csvSeparator ?? own, quotes, mostBytes(options), take);
  for await (const chunk of readUtf8(file)) {
    scanner.push(chunk);
    yield column.rows;
    column.rows = [];
  }
  scanner.end();
  yield column.rows;
}

function separated(extension: string, separator: Separator): Format {
  return { extensions: [extension], gzip: true, unit: "line", read: (file, options) => read(file, options, separator) };
}

export const csv = separated(".csv", "comma");
export const tsv = separated(".tsv", "tab");
