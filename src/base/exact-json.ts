// JSON whose numbers stay apart as Python keeps them: 1.0 is a float, 1 an int, and ints have all their digits.

/** A float: numbers that are not wrapped are ints. */
export class Float {
  constructor(readonly value: number) {}
  toJSON(): number {
    return this.value;
  }
}

/**
 * Found in every text that `JSON.parse` reads differently: floats, long ints, keys that JavaScript would move to the front, Python's NaN and
 * infinities. It looks at digits and a few letters: every row is searched.
 */
const INEXACT = /\d(?:\.\d|[eE][-+\d]|\d{15}|"\s*:)|NaN|Infinity/;

/** A text of JSON, which is passed over; or one of the things that `INEXACT` finds, as the first group. */
const TEXT_OR_INEXACT = /("\d+"\s*:|-?(?:\d+[.eE]|\d{16}|NaN|Infinity))|"[^"\\]*(?:\\.[^"\\]*)*"/g;

/** @param text known to be JSON */
function isInexact(text: string): boolean {
  if (!INEXACT.test(text)) return false;
  // Sentences hold numbers, too.
  for (const [, found] of text.matchAll(TEXT_OR_INEXACT)) if (found !== undefined) return true;
  return false;
}

/**
 * JSON's value. Floats are `Float`, ints beyond 2^53 bigint, and objects Maps where the text needs it, else plain objects.
 * @throws SyntaxError as JSON.parse does
 */
export function parseExactJson(text: string): unknown {
  const value = JSON.parse(text);
  return isInexact(text) ? new Reader(text).value() : value;
}

/** The same of a text that is known to be JSON, in which NaN and infinities may stand as Python writes them. @param value JSON.parse's, where there is one */
export function readExactJson(text: string, value?: unknown): unknown {
  if (isInexact(text)) return new Reader(text).value();
  return value === undefined ? JSON.parse(text) : value;
}

/** A value as `readExactJson` reads it. Dates become texts, undefined becomes null. */
export function exactJson(value: unknown): string {
  return isPlain(value) ? JSON.stringify(value) : written(value);
}

/** Whether JSON.stringify writes the value as `readExactJson` reads it. */
function isPlain(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return true;
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value !== "object" || value instanceof Float || value instanceof Map) return false;
  if (Array.isArray(value)) return value.every(isPlain);
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key])) return false;
  return true;
}

function written(value: unknown): string {
  if (value instanceof Float) return floatJson(value.value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value + 0) : floatJson(value);
  if (Array.isArray(value)) return `[${value.map(written).join()}]`;
  if (typeof value !== "object" || value === null || value instanceof Date) return JSON.stringify(value) ?? "null";
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${written(one)}`).join()}}`;
}

function floatJson(value: number): string {
  const digits = Object.is(value, -0) ? "-0" : String(value);
  return /^-?\d+$/.test(digits) ? `${digits}.0` : digits;
}

/** Reads text that is known to be JSON. */
class Reader {
  #at = 0;
  constructor(readonly text: string) {}

  value(): unknown {
    this.#blank();
    const first = this.text[this.#at];
    if (first === "{") return this.#object();
    if (first === "[") return this.#array();
    if (first === '"') return this.#string();
    const word = this.#match(/[-+.\w]+/y);
    if (word === "true" || word === "false") return word === "true";
    if (word === "null") return null;
    if (/[.eEN]|Infinity/.test(word)) return new Float(Number(word));
    const number = Number(word);
    return Number.isSafeInteger(number) ? number + 0 : BigInt(word);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)![0];
    this.#at += found.length;
    return found;
  }

  #blank(): void {
    this.#match(/[ \t\r\n]*/y);
  }

  /** Whether the next character is `character`; if so, it is passed over. */
  #passed(character: string): boolean {
    this.#blank();
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #string(): string {
    return JSON.parse(this.#match(/"[^"\\]*(?:\\.[^"\\]*)*"/y));
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    if (this.#passed("]")) return items;
    do items.push(this.value());
    while (this.#passed(","));
    this.#passed("]");
    return items;
  }

  #object(): Map<string, unknown> {
    const entries = new Map<string, unknown>();
    this.#at++;
    if (this.#passed("}")) return entries;
    do {
      this.#blank();
      const key = this.#string();
      this.#passed(":");
      entries.set(key, this.value());
    } while (this.#passed(","));
    this.#passed("}");
    return entries;
  }
}
