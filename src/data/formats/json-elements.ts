// The elements of one JSON array, a chunk of the file at a time, so that a large file is never held whole.
import { isUtf8 } from "node:buffer";
import { LowrankError } from "../../base/errors.js";
import { placeIn } from "../../base/json.js";
import type { Column, ReadOptions } from "./format.js";
import { chunksFrom } from "./json-field.js";
import { type Fail, isThinnable, parseValue } from "./json-text.js";
import { mostBytes, Pieces, tooLong } from "./text-size.js";
import { notUtf8, readUtf8 } from "./utf8.js";

const code = (character: string) => character.charCodeAt(0);
const QUOTE = code('"');
const BACKSLASH = code("\\");
const COMMA = code(",");
const OPEN_LIST = code("[");
const CLOSE_LIST = code("]");
const OPEN_OBJECT = code("{");
const CLOSE_OBJECT = code("}");

/**
 * The end of a part of the file: the array's bracket, an element's comma or bracket, the end of the file or of a chunk behind the array.
 */
type End = "[" | "," | "]" | "";

/** Cuts the file at the array's structure; the text between the cuts is left to JSON.parse. */
class Cutter {
  #isBefore = true;
  #isAfter = false;
  #depth = 0;
  #isText = false;
  #isEscaped = false;

  get isAfter(): boolean {
    return this.#isAfter;
  }

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

async function* parts(
  chunks: AsyncIterable<Buffer>,
  file: string,
  most: number,
): AsyncGenerator<{ bytes: Buffer; end: End }[]> {
  const cutter = new Cutter();
  let row = 1;
  // Pieces of an element that goes on in the next chunk.
  const pieces = new Pieces(most, () => tooLong(`${file}, row ${row}`, "the element", most, file));
  for await (const chunk of chunks) {
    const found: { bytes: Buffer; end: End }[] = [];
    let at = 0;
    for (let cut = cutter.next(chunk, 0); cut >= 0; cut = cutter.next(chunk, at)) {
      found.push({ bytes: pieces.take(chunk.subarray(at, cut)), end: String.fromCharCode(chunk[cut]!) as End });
      if (chunk[cut] === COMMA) row++;
      at = cut + 1;
    }
    if (cutter.isAfter) found.push({ bytes: chunk.subarray(at), end: "" });
    else pieces.add(chunk.subarray(at));
    yield found;
  }
  yield [{ bytes: pieces.take(Buffer.alloc(0)), end: "" }];
}

/** A value of an array, and the text that it was parsed from. */
export interface Element {
  value: unknown;
  text: string;
}

/**
 * The values of an array, some at a time: of the file, or under the key `jsonField` of the object that it is.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8, E_JSON, E_JSON_FIELD, E_TEXT_SIZE
 */
export async function* readElements(file: string, columns: Column[], options: ReadOptions): AsyncGenerator<Element[]> {
  const isThin = isThinnable(columns);
  const { jsonField } = options;
  const start = { line: 1, column: 1 };
  let row = 0;
  let state: "before" | "within" | "after" = "before";
  /** The last character behind the array that is not white. */
  let last = "";

  const fail: Fail = (reason, at, cause) => {
    const column = at.line === 1 ? start.column + at.column - 1 : at.column;
    const message = `${file}, line ${start.line + at.line - 1}, column ${column}: not valid JSON: ${reason}.`;
    return new LowrankError("E_JSON", message, file, { cause });
  };
  const decode = (bytes: Buffer): string => {
    // The text after an array under a key is not read, and may end within a character.
    if (state === "after" && jsonField !== undefined) return bytes.toString("latin1");
    if (!isUtf8(bytes)) throw notUtf8(`${file}, row ${row + 1}`, file);
    return bytes.toString("utf8");
  };

  const chunks = jsonField === undefined ? readUtf8(file) : chunksFrom(file, jsonField, start);
  for await (const some of parts(chunks, file, mostBytes(options))) {
    const elements: Element[] = [];
    for (const { bytes, end } of some) {
      const text = decode(bytes);
      const isBlank = text.trim() === "";
      if (state === "before") {
        if (end === "" && isBlank) throw fail("the file is empty", { line: 1, column: 1 });
        // Whatever stands before the bracket is no JSON together with it.
        if (!isBlank) parseValue(`${text}${end}`, isThin, fail);
        state = "within";
      } else if (state === "after") {
        if (!isBlank && jsonField === undefined) {
          const begin = text.length - text.trimStart().length;
          throw fail("Unexpected non-whitespace character after JSON", placeIn(text, begin));
        }
        last = text.trimEnd().at(-1) ?? last;
      } else if (!(isBlank && end === "]" && row === 0)) {
        // The character that ends an element too early is appended, so that the parser fails at it.
        elements.push({ value: parseValue(isBlank || end === "" ? `${text}${end}` : text, isThin, fail), text });
        if (end === "") throw fail("Unexpected end of JSON input", placeIn(text, text.trimEnd().length));
        row++;
      }
      if (end === "]") state = "after";
      const lines = text.split("\n");
      start.line += lines.length - 1;
      start.column = (lines.length === 1 ? start.column : 1) + lines.at(-1)!.length + end.length;
    }
    yield elements;
  }
  if (jsonField !== undefined && last !== "}") throw fail("Unexpected end of JSON input", { line: 1, column: 1 });
}
