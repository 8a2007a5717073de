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

/** The file's text, its last line ended as the others are: the parser takes the first line's ending for all. */
async function* text(file: string): AsyncGenerator<string> {
  let first: string | undefined;
  let last = "";
  for await (const lines of readLines(file)) {
    const joined = lines.map((line) => line.text).join("\n");
    yield first === undefined ? joined : `\n${joined}`;
    first ??= lines[0]!.text;
    last = lines.at(-1)!.text;
  }
  if (first !== undefined) yield first.endsWith("\r") && !last.endsWith("\r") ? "\r\n" : "\n";
}

/** @param linesBefore lines of the records before the one at fault */
function problem(error: unknown, file: string, linesBefore: number): unknown {
  if (error instanceof LowrankError || !/^(CSV_|INVALID_)/.test((error as CsvError).code ?? "")) return error;
  const { code, message } = error as CsvError;
  // The parser's own line is where it gave up, with an open quote the end of the file.
  const line = linesBefore + 1;
  return new LowrankError("E_CSV", `${file}, line ${line}: ${PROBLEMS[code] ?? message}.`, file, { cause: error });
}

/** Numbers of the lines that records begin in; a quoted field may hold several lines. */
class LineCount {
  readonly starts: number[] = [];
  /** Last line of the records so far. */
  last = 0;
  /** The parser counts a carriage return within a field as a line of its own. */
  #returns = 0;

  /** @param parserLines how many lines the parser has read up to the record's end */
  add(record: string[], parserLines: number): void {
    let feeds = 0;
    for (const field of record) {
      feeds += field.split("\n").length - 1;
      this.#returns += field.split("\r").length - 1;
    }
    this.last = parserLines - this.#returns;
    this.starts.push(this.last - feeds);
  }
}

async function* read(file: string, delimiter: string): AsyncGenerator<Row[]> {
  const { parse } = await import("csv-parse");
  // Counted as the parser goes, so that the line is known when it fails, whatever the loop below has got by then.
  const count = new LineCount();
  const onRecord = (record: string[], { lines }: { lines: number }) => {
    count.add(record, lines);
    return record;
  };
  const parser = parse({ delimiter, skip_empty_lines: true, on_record: onRecord });
  // An error of the source reaches the loop through the parser.
  pipeline(Readable.from(text(file)), parser, () => {});
  let header: string[] | undefined;
  let read = 0;
  let rows: Row[] = [];
  try {
    for await (const record of parser as AsyncIterable<string[]>) {
      const at = count.starts[read++]!;
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
    throw problem(error, file, count.last);
  }
  yield rows;
}

export const csv: Format = { extensions: [".csv"], gzip: true, unit: "line", read: (file) => read(file, ",") };
export const tsv: Format = { extensions: [".tsv"], gzip: true, unit: "line", read: (file) => read(file, "\t") };
