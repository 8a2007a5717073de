import { isUtf8 } from "node:buffer";
import type { ReadOptions } from "./format.js";
import { mostBytes, Pieces, tooLong } from "./text-size.js";
import { notUtf8, readUtf8 } from "./utf8.js";

export interface Line {
  /** Without its end. */
  text: string;
  /** Counted from 1. */
  number: number;
}

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** Bytes of the line's end that stands there, 0 where none does. */
function lengthOfEnd(chunk: Buffer, at: number): number {
  if (chunk[at] === LINE_FEED) return 1;
  if (chunk[at] !== RETURN) return 0;
  return chunk[at + 1] === LINE_FEED ? 2 : 1;
}

/** Positions of a byte in a chunk, in order. */
class Finder {
  readonly #chunk: Buffer;
  readonly #byte: number;
  #found = -1;

  constructor(chunk: Buffer, byte: number) {
    this.#chunk = chunk;
    this.#byte = byte;
  }

  /** The first from `at` on, Infinity where there is none. */
  from(at: number): number {
    if (this.#found >= at) return this.#found;
    const found = this.#chunk.indexOf(this.#byte, at);
    this.#found = found < 0 ? Number.POSITIVE_INFINITY : found;
    return this.#found;
  }
}

/**
 * Lines of a text file, a chunk of the file at a time. Each may end in a line feed, a carriage return or both. Of empty lines
 * that follow each other only the first of a chunk is given; all are counted.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8 and E_TEXT_SIZE with the line
 */
export async function* readLines(file: string, options: ReadOptions): AsyncGenerator<Line[], void, undefined> {
  const most = mostBytes(options);
  let number = 0;
  const pieces = new Pieces(most, () => tooLong(`${file}, line ${number + 1}`, "the line", most, file));
  const finish = (end: Buffer): Line => {
    const bytes = pieces.take(end);
    number++;
    if (!isUtf8(bytes)) throw notUtf8(`${file}, line ${number}`, file);
    return { text: bytes.toString("utf8"), number };
  };
  // Whether the chunk before ended in a carriage return: a line feed that follows belongs to it.
  let isReturned = false;
  for await (const chunk of readUtf8(file)) {
    if (chunk.length === 0) continue;
    const lines: Line[] = [];
    const feeds = new Finder(chunk, LINE_FEED);
    const returns = new Finder(chunk, RETURN);
    let at = isReturned && chunk[0] === LINE_FEED ? 1 : 0;
    for (;;) {
      const end = Math.min(feeds.from(at), returns.from(at));
      if (end >= chunk.length) break;
      const isEmpty = end === at && pieces.isEmpty;
      lines.push(finish(chunk.subarray(at, end)));
      at = end + lengthOfEnd(chunk, end);
      // Of empty lines that follow each other one is enough. So gigabytes of them take little time and no memory.
      for (let length = isEmpty ? lengthOfEnd(chunk, at) : 0; length > 0; length = lengthOfEnd(chunk, at)) {
        number++;
        at += length;
      }
    }
    isReturned = chunk.at(-1) === RETURN;
    if (at < chunk.length) pieces.add(chunk.subarray(at));
    if (lines.length > 0) yield lines;
  }
  if (!pieces.isEmpty) yield [finish(Buffer.alloc(0))];
}
