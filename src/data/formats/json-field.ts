// The keys of the one object that a file is, and the array under one of them, a chunk at a time.
import { LowrankError } from "../../base/errors.js";
import { readUtf8 } from "./utf8.js";

const code = (character: string) => character.charCodeAt(0);
const QUOTE = code('"');
const BACKSLASH = code("\\");
const COLON = code(":");
const OPEN_LIST = code("[");
const OPEN_OBJECT = code("{");
const CLOSE_LIST = code("]");
const CLOSE_OBJECT = code("}");
/** Space, tab, line feed and carriage return. */
const isWhite = (byte: number) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
const LONGEST_KEY = 1000;
const MOST_KEYS = 50;

/** Walks through an object's bytes. Values that it passes over are not checked. */
class TopLevel {
  #depth = 0;
  #isText = false;
  #isEscaped = false;
  /** Bytes of the last text at the top level. */
  #text: number[] = [];
  /** The key whose value comes next. */
  #key: string | undefined;
  /** The first keys that hold arrays, the first that hold objects, and the first of all keys. */
  readonly lists: string[] = [];
  readonly objects: string[] = [];
  readonly keys: string[] = [];
  /** Whether the file is an object at all; undefined before its first byte. */
  isObject: boolean | undefined;

  /** Position of the array under a key, or -1 where the chunk does not reach it. */
  find(chunk: Buffer, wanted: string | undefined): number {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#isText) {
        this.#inText(byte);
        continue;
      }
      if (isWhite(byte)) continue;
      this.isObject ??= byte === OPEN_OBJECT;
      if (!this.isObject) return -1;
      if (this.#key !== undefined) {
        const key = this.#key;
        this.#key = undefined;
        if (this.keys.length < MOST_KEYS) this.keys.push(key);
        if (byte === OPEN_LIST && this.lists.length < MOST_KEYS) this.lists.push(key);
        if (byte === OPEN_OBJECT && this.objects.length < MOST_KEYS) this.objects.push(key);
        if (byte === OPEN_LIST && key === wanted) return i;
      }
      if (byte === QUOTE) {
        this.#isText = true;
        this.#text = [];
      } else if (byte === COLON && this.#depth === 1) this.#key = keyOf(this.#text);
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.#depth++;
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) this.#depth--;
    }
    return -1;
  }

  #inText(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isText = false;
    if (this.#isText && this.#depth === 1 && this.#text.length < LONGEST_KEY) this.#text.push(byte);
  }
}

function keyOf(bytes: number[]): string {
  const written = Buffer.from(bytes).toString("utf8");
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    return written;
  }
}

/** Advice on an object that is larger than any row; none where it holds neither rows nor the wanted columns. */
export async function adviceOnLarge(file: string, columns: string[]): Promise<string> {
  const object = new TopLevel();
  for await (const chunk of readUtf8(file)) {
    object.find(chunk, undefined);
    if (object.isObject === false) break;
  }
  if (object.lists.length > 0) return ` ${fieldAdvice(object.lists)}`;
  return columns.some((column) => object.objects.includes(column)) ? ` ${TABLE_ADVICE}.` : "";
}

export const AS_RECORDS = 'write it by to_json(path, orient="records", lines=True)';
export const TABLE_ADVICE = `If this is a table by columns, as pandas' to_json(path) writes it, ${AS_RECORDS}`;

/** @param lists keys that hold arrays */
export function fieldAdvice(lists: string[]): string {
  const named = lists.slice(0, 5).map((name) => `--json_field ${name}`);
  return `If the rows are the array under a key, name the key: ${named.join(" or ")}.`;
}

/** Where the chunks of an array begin in its file, counted from 1. */
export interface Start {
  line: number;
  column: number;
}

/**
 * The file from the array under a key on.
 * @param start becomes the array's place before the first chunk comes
 * @throws LowrankError E_JSON_FIELD
 */
export async function* chunksFrom(file: string, field: string, start: Start): AsyncGenerator<Buffer> {
  const object = new TopLevel();
  const chunks = readUtf8(file);
  for await (const chunk of chunks) {
    const at = object.find(chunk, field);
    if (object.isObject === false) break;
    const lines = chunk.toString("utf8", 0, at < 0 ? chunk.length : at).split("\n");
    start.column = (lines.length === 1 ? start.column : 1) + lines.at(-1)!.length;
    start.line += lines.length - 1;
    if (at < 0) continue;
    yield chunk.subarray(at);
    yield* chunks;
    return;
  }
  throw noArray(file, field, object);
}

function noArray(file: string, field: string, { isObject, keys, lists }: TopLevel): LowrankError {
  const advice =
    lists.length > 0 ? `Keys that hold arrays: ${lists.join(", ")}.` : "No key of the file holds an array.";
  const found = keys.includes(field)
    ? `the value under the key "${field}" is no array. ${advice}`
    : `there is no key "${field}". ${advice}`;
  const whole = "it is not one object with rows under a key. Leave out --json_field.";
  return new LowrankError("E_JSON_FIELD", `${file}: ${isObject === true ? found : whole}`, file);
}
