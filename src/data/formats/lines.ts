import { isUtf8 } from "node:buffer";
import { LowrankError } from "../../errors.js";
import { readChunks } from "./source.js";

export interface Line {
  /** Without the line feed. */
  text: string;
  /** Counted from 1. */
  number: number;
}

const LINE_FEED = 0x0a;

/**
 * Lines of a UTF-8 file without its byte order mark, a chunk of the file at a time.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_UTF8 with the line
 */
export async function* readLines(file: string): AsyncGenerator<Line[], void, undefined> {
  let number = 0;
  // Pieces of a line that goes on in the next chunk.
  let pieces: Buffer[] = [];
  const finish = (end: Buffer): Line => {
    const bytes = pieces.length === 0 ? end : Buffer.concat([...pieces, end]);
    pieces = [];
    number++;
    return { text: decode(bytes, file, number), number };
  };
  for await (const chunk of readChunks(file)) {
    const lines: Line[] = [];
    let at = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, at)) {
      lines.push(finish(chunk.subarray(at, end)));
      at = end + 1;
    }
    if (at < chunk.length) pieces.push(chunk.subarray(at));
    if (lines.length > 0) yield lines;
  }
  if (pieces.length > 0) yield [finish(Buffer.alloc(0))];
}

function decode(bytes: Buffer, file: string, number: number): string {
  if (!isUtf8(bytes)) {
    throw new LowrankError("E_UTF8", `${file}, line ${number}: not valid UTF-8. Save the file as UTF-8.`, file);
  }
  const text = bytes.toString("utf8");
  return number === 1 && text.startsWith("\uFEFF") ? text.slice(1) : text;
}
