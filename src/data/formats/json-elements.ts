// The elements of one JSON array, a chunk of the file at a time, so that a large file is never held whole.
import { isUtf8 } from "node:buffer";
import { LowrankError } from "../../errors.js";
import { jsonProblem, placeIn } from "../../model/index.js";
import { readError } from "../../system-errors.js";
import { readChunks } from "./source.js";

const code = (character: string) => character.charCodeAt(0);
const QUOTE = code('"');
const BACKSLASH = code("\\");
const COMMA = code(",");
const OPEN_LIST = code("[");
const CLOSE_LIST = code("]");
const OPEN_OBJECT = code("{");
const CLOSE_OBJECT = code("}");
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** What ends a part of the file: the array's bracket, an element's comma or bracket, the end of the file. */
type End = "[" | "," | "]" | "";

/** Where the array's structure cuts the file; what lies between the cuts is left to JSON.parse. */
class Cutter {
  #isBefore = true;
  #isAfter = false;
  #depth = 0;
  #isText = false;
  #isEscaped = false;

  /** The next cut from `at` on, or -1. */
  next(chunk: Buffer, at: number): number {
    if (this.#isAfter) return -1;
    for (let i = at; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#isText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isText = false;
      } else if (byte === QUOTE) {
        this.#isText = true;
      } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        if (this.#isBefore && byte === OPEN_LIST) {
          this.#isBefore = false;
          return i;
        }
        this.#depth++;
      } else if (byte === COMMA && this.#depth === 0 && !this.#isBefore) {
        return i;
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        if (this.#depth === 0 && byte === CLOSE_LIST) {
          this.#isAfter = true;
          return i;
        }
        this.#depth--;
      }
    }
    return -1;
  }
}

async function* parts(file: string): AsyncGenerator<{ bytes: Buffer; end: End }[]> {
  const cutter = new Cutter();
  let pieces: Buffer[] = [];
  for await (const chunk of readChunks(file)) {
    const found: { bytes: Buffer; end: End }[] = [];
    let at = 0;
    for (let cut = cutter.next(chunk, 0); cut >= 0; cut = cutter.next(chunk, at)) {
      found.push({
        bytes: Buffer.concat([...pieces, chunk.subarray(at, cut)]),
        end: String.fromCharCode(chunk[cut]!) as End,
      });
      pieces = [];
      at = cut + 1;
    }
    pieces.push(chunk.subarray(at));
    yield found;
  }
  yield [{ bytes: Buffer.concat(pieces), end: "" }];
}

/** The values of an array, some at a time. @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_UTF8, E_JSON */
export async function* readElements(file: string): AsyncGenerator<unknown[]> {
  let row = 0;
  let line = 1;
  let column = 1;
  let state: "before" | "within" | "after" = "before";

  const fail = (reason: string, at: { line: number; column: number }, cause?: unknown): never => {
    const place = { line: line + at.line - 1, column: at.line === 1 ? column + at.column - 1 : at.column };
    const message = `${file}, line ${place.line}, column ${place.column}: not valid JSON: ${reason}.`;
    throw new LowrankError("E_JSON", message, file, { cause });
  };
  const parse = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      const { reason, ...at } = jsonProblem(error, text);
      return fail(reason, at, error);
    }
  };
  const decode = (bytes: Buffer): string => {
    if (!isUtf8(bytes)) {
      throw new LowrankError("E_UTF8", `${file}, row ${row + 1}: not valid UTF-8. Save the file as UTF-8.`, file);
    }
    try {
      return bytes.toString("utf8");
    } catch (error) {
      // Longer than the longest string.
      throw readError(error, file, "Data file");
    }
  };

  for await (const some of parts(file)) {
    const values: unknown[] = [];
    for (const { bytes, end } of some) {
      const hasMark = state === "before" && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK);
      const text = decode(hasMark ? bytes.subarray(3) : bytes);
      const isBlank = text.trim() === "";
      if (state === "before") {
        if (end === "" && isBlank) fail("the file is empty", { line: 1, column: 1 });
        // Whatever stands before the bracket is no JSON together with it.
        if (!isBlank) parse(`${text}${end}`);
        state = "within";
      } else if (state === "after") {
        if (!isBlank) {
          const start = text.length - text.trimStart().length;
          fail("Unexpected non-whitespace character after JSON", placeIn(text, start));
        }
      } else if (!(isBlank && end === "]" && row === 0)) {
        // What ends an element too early is then what the parser stumbles over.
        values.push(isBlank || end === "" ? parse(`${text}${end}`) : parse(text));
        if (end === "") fail("Unexpected end of JSON input", placeIn(text, text.trimEnd().length));
        row++;
      }
      if (end === "]") state = "after";
      const lines = text.split("\n");
      line += lines.length - 1;
      column = (lines.length === 1 ? column : 1) + lines.at(-1)!.length + end.length;
    }
    yield values;
  }
}
