// The one owner of the `csv-parse` package.
import { pipeline, Readable } from "node:stream";
import type { CsvError } from "csv-parse";
import { LowrankError } from "../../errors.js";
import type { Format, Row } from "./format.js";
import { readLines } from "./lines.js";

const ROWS_AT_A_TIME = 1024;

/** In place of csv-parse's own words, which remain for the rest. */
const PROBLEMS: Record<string, string> = {
  CSV_QUOTE_NOT_CLOSED: "a quote that opens a field is never closed",
  INVALID_OPENING_QUOTE: 'a quote within a field that does not begin with one; write "say ""hi""" for say "hi"',
  CSV_INVALID_CLOSING_QUOTE: 'text after a closing quote; write "say ""hi""" for say "hi"',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH:
    "not as many fields as the header has; a field with the separator needs quotes",
};

async function* text(file: string): AsyncGenerator<string> {
  for await (const lines of readLines(file)) yield lines.map((line) => `${line.text}\n`).join("");
}

/** @param linesBefore lines of the records before the one at fault */
function problem(error: unknown, file: string, linesBefore: number): unknown {
  if (error instanceof LowrankError || !/^(CSV_|INVALID_)/.test((error as CsvError).code ?? "")) return error;
  const { code, message } = error as CsvError;
  // The parser's own line is where it gave up, with an open quote the end of the file.
  const line = linesBefore + 1;
  return new LowrankError("E_CSV", `${file}, line ${line}: ${PROBLEMS[code] ?? message}.`, file, { cause: error });
}

/** The line that a record begins in; quoted fields may hold more lines. */
function firstLine(record: string[], lastLine: number): number {
  return lastLine - record.reduce((sum, field) => sum + (field.split("\n").length - 1), 0);
}

async function* read(file: string, delimiter: string): AsyncGenerator<Row[]> {
  const { parse } = await import("csv-parse");
  // Last line of each record. Noted as the parser goes, so that it is known when the parser fails, whatever the loop below
  // has got by then.
  const ends: number[] = [];
  const onRecord = (record: string[], { lines }: { lines: number }) => {
    ends.push(lines);
    return record;
  };
  const parser = parse({ delimiter, skip_empty_lines: true, on_record: onRecord });
  // An error of the source reaches the loop through the parser.
  pipeline(Readable.from(text(file)), parser, () => {});
  let header: string[] | undefined;
  let count = 0;
  let rows: Row[] = [];
  try {
    for await (const record of parser as AsyncIterable<string[]>) {
      const at = firstLine(record, ends[count++]!);
      if (header === undefined) {
        header = record;
        continue;
      }
      rows.push({ columns: Object.fromEntries(header.map((name, i) => [name, record[i]])), at });
      if (rows.length < ROWS_AT_A_TIME) continue;
      yield rows;
      rows = [];
    }
  } catch (error) {
    throw problem(error, file, ends.at(-1) ?? 0);
  }
  yield rows;
}

export const csv: Format = { extensions: [".csv"], unit: "line", read: (file) => read(file, ",") };
export const tsv: Format = { extensions: [".tsv"], unit: "line", read: (file) => read(file, "\t") };
