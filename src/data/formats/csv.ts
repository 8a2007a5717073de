// The one owner of the `csv-parse` package.
import { pipeline, Readable } from "node:stream";
import type { CsvError } from "csv-parse";
import { LowrankError } from "../../errors.js";
import type { Format, Row } from "./format.js";
import { readLines } from "./lines.js";

/** What csv-parse gives with `info`: the fields, and how many lines it has read up to their end. */
interface Parsed {
  record: string[];
  info: { lines: number };
}

const ROWS_AT_A_TIME = 1024;

/** csv-parse's own words for the rest. */
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

function problem(error: unknown, file: string): unknown {
  const { code, lines, message } = error as CsvError & { lines?: number };
  if (error instanceof LowrankError || typeof code !== "string") return error;
  return new LowrankError("E_CSV", `${file}, line ${lines}: ${PROBLEMS[code] ?? message}.`, file, { cause: error });
}

/** A line that a record begins in; quoted fields may hold more lines. */
function firstLine({ record, info }: Parsed): number {
  return info.lines - record.reduce((sum, field) => sum + (field.split("\n").length - 1), 0);
}

async function* read(file: string, delimiter: string): AsyncGenerator<Row[]> {
  const { parse } = await import("csv-parse");
  const parser = parse({ delimiter, info: true, skip_empty_lines: true });
  // An error of the source reaches the loop below through the parser.
  pipeline(Readable.from(text(file)), parser, () => {});
  let header: string[] | undefined;
  let rows: Row[] = [];
  try {
    for await (const parsed of parser as AsyncIterable<Parsed>) {
      if (header === undefined) {
        header = parsed.record;
        continue;
      }
      rows.push({
        columns: Object.fromEntries(header.map((name, i) => [name, parsed.record[i]])),
        at: firstLine(parsed),
      });
      if (rows.length < ROWS_AT_A_TIME) continue;
      yield rows;
      rows = [];
    }
  } catch (error) {
    throw problem(error, file);
  }
  yield rows;
}

export const csv: Format = { extensions: [".csv"], unit: "line", read: (file) => read(file, ",") };
export const tsv: Format = { extensions: [".tsv"], unit: "line", read: (file) => read(file, "\t") };
