// Plain text and Markdown: every line, paragraph or file that is not blank is a text, in the column `text`.
import { isUtf8 } from "node:buffer";
import { type Format, noColumn, type ReadOptions, type TextBy } from "./format.js";
import { readLines } from "./lines.js";
import { mostBytes, Pieces, tooLong } from "./text-size.js";
import { notUtf8, readUtf8 } from "./utf8.js";

const isBlank = (text: string) => text.trim() === "";

/** A text, and the 1-based line that it begins in. */
interface Text {
  text: string;
  at: number;
}

async function* lines(file: string, options: ReadOptions): AsyncGenerator<Text[]> {
  for await (const some of readLines(file, options)) {
    yield some.filter(({ text }) => !isBlank(text)).map(({ text, number }) => ({ text, at: number }));
  }
}

/** Blank lines separate paragraphs. A line of white space is blank, as in Markdown; to `datasets` it is not. */
async function* paragraphs(file: string, options: ReadOptions): AsyncGenerator<Text[]> {
  const most = mostBytes(options);
  let paragraph: string[] = [];
  let length = 0;
  let at = 0;
  const finish = () => {
    const row = { text: paragraph.join("\n"), at };
    paragraph = [];
    length = 0;
    return row;
  };
  for await (const some of readLines(file, options)) {
    const rows: Text[] = [];
    for (const { text, number } of some) {
      if (isBlank(text)) {
        if (paragraph.length > 0) rows.push(finish());
        continue;
      }
      if (paragraph.length === 0) at = number;
      length += text.length + 1;
      if (length > most) throw tooLong(`${file}, line ${at}`, "the paragraph", most, file, BY_LINE);
      paragraph.push(text);
    }
    yield rows;
  }
  if (paragraph.length > 0) yield [finish()];
}

const BY_LINE = " Read its lines as texts with --text_by line.";
const BY_LESS = " Read its lines or paragraphs as texts with --text_by line or --text_by paragraph.";

/** The file as it is, except that each line end becomes a line feed. */
async function* whole(file: string, options: ReadOptions): AsyncGenerator<Text[]> {
  const most = mostBytes(options);
  const pieces = new Pieces(most, () => tooLong(file, "the file", most, file, BY_LESS));
  for await (const chunk of readUtf8(file)) pieces.add(chunk);
  const bytes = pieces.take(Buffer.alloc(0));
  if (!isUtf8(bytes)) throw notUtf8(`${file}, line ${firstWrongLine(bytes)}`, file);
  const text = bytes.toString("utf8");
  if (!isBlank(text)) yield [{ text: text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text, at: 1 }];
}

function firstWrongLine(bytes: Buffer): number {
  let line = 1;
  let start = 0;
  for (let end = bytes.indexOf("\n"); end >= 0; end = bytes.indexOf("\n", start)) {
    if (!isUtf8(bytes.subarray(start, end))) return line;
    line++;
    start = end + 1;
  }
  return line;
}

const READERS = { line: lines, paragraph: paragraphs, file: whole };

function plainText(extensions: string[], by: TextBy): Format {
  return {
    extensions,
    gzip: true,
    unit: "line",
    async *read(file, columns, options) {
      const missing = columns.find(({ name, isOptional }) => name !== "text" && !isOptional);
      if (missing) throw noColumn(file, missing.name, ["text"], file);
      for await (const texts of READERS[options.textBy ?? by](file, options)) {
        yield texts.map(({ text, at }) => ({ values: columns.map(({ name }) => (name === "text" ? text : null)), at }));
      }
    },
  };
}

export const plain = plainText([".txt"], "line");
export const markdown = plainText([".md"], "file");
