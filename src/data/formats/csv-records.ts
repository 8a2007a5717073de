// The records of CSV and TSV, a chunk of the file at a time, by the rules that pandas reads them by: a quote that begins a field
// opens it, two within are one, elsewhere a quote is a character; a line ends in a line feed, a carriage return or both.
import { isUtf8 } from "node:buffer";
import { LowrankError } from "../../base/errors.js";
import type { Separator } from "./format.js";
import { tooLong } from "./text-size.js";
import { notUtf8 } from "./utf8.js";

export const SEPARATORS: Record<Separator, string> = { comma: ",", semicolon: ";", tab: "\t", pipe: "|" };

/** Advice where fields seem to be separated by another character. */
export function separatorAdvice(separator: string): string | undefined {
  const found = Object.entries(SEPARATORS).find(([, character]) => character === separator);
  return found && `The separator of its fields seems to be another: read it with --csv_separator ${found[0]}.`;
}

const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/** Where the scanner is: a field's first byte, within a field without quotes or with them, behind a quote in the latter. */
enum State {
  Begin,
  Plain,
  Quoted,
  Quote,
}

function isWhite(bytes: Buffer, begin: number, end: number): boolean {
  for (let i = begin; i < end; i++) if (bytes[i] !== SPACE && bytes[i] !== TAB) return false;
  return true;
}

export class Records {
  readonly #file: string;
  readonly #separator: number;
  /** -1 where quotes have no meaning. */
  readonly #quote: number;
  readonly #most: number;
  readonly #take: (record: Records) => void;

  #state = State.Begin;
  /** Whether the byte before was a carriage return, to which a line feed belongs. */
  #isReturned = false;
  /** The scanner's line, and the lines in which the record and its last quoted field begin. */
  #line = 1;
  #first = 1;
  #quoteLine = 1;
  #bytes: Buffer = Buffer.alloc(0);
  #storage: Buffer = Buffer.alloc(0);
  /** The beginnings of the record's fields in `#bytes`, without their quotes. */
  readonly #begins: number[] = [];
  readonly #ends: number[] = [];
  /** Fields with quotes within, which stand there twice. */
  readonly #doubled: boolean[] = [];
  #isDoubled = false;
  #begin = 0;
  #isQuoted = false;

  /** @param take called with each record, whose fields can be read until it returns */
  constructor(file: string, separator: Separator, quotes: boolean, most: number, take: (record: Records) => void) {
    this.#file = file;
    this.#separator = SEPARATORS[separator].charCodeAt(0);
    this.#quote = quotes ? QUOTE : -1;
    this.#most = most;
    this.#take = take;
  }

  /** The line that the record begins in. */
  get line(): number {
    return this.#first;
  }

  get fields(): number {
    return this.#ends.length;
  }

  /** @throws LowrankError E_UTF8 */
  text(field: number): string {
    const bytes = this.#bytes.subarray(this.#begins[field], this.#ends[field]);
    if (!isUtf8(bytes)) throw notUtf8(`${this.#file}, line ${this.#first}`, this.#file);
    const text = bytes.toString("utf8");
    return this.#doubled[field] ? text.replaceAll('""', '"') : text;
  }

  /** Whether each line of the record could itself be a record of `fields` fields, if quotes had no meaning. */
  hasRecordsIn(fields: number): boolean {
    if (this.#line === this.#first) return false;
    const separator = String.fromCharCode(this.#separator);
    const lines = this.#bytes.toString("latin1", this.#begins[0], this.#ends.at(-1)).split(/\r\n|\r|\n/);
    return lines.every((line) => line.split(separator).length === fields);
  }

  problem(found: string, line = this.#first): LowrankError {
    return new LowrankError("E_CSV", `${this.#file}, line ${line}: ${found}.`, this.#file);
  }

  /** @throws LowrankError E_CSV, E_TEXT_SIZE */
  push(chunk: Buffer): void {
    const rest = this.#bytes;
    const from = rest.length;
    this.#bytes = from === 0 ? chunk : this.#append(rest, chunk);
    const begin = this.#scan(from);
    // The part of the unfinished record that is read already.
    this.#bytes = this.#bytes.subarray(begin);
    this.#begin -= begin;
    for (let i = 0; i < this.#ends.length; i++) {
      this.#begins[i]! -= begin;
      this.#ends[i]! -= begin;
    }
    if (this.#bytes.length <= this.#most) return;
    if (this.#state === State.Quoted) throw this.#notClosed(" in as much as a text may be");
    throw this.#tooLong();
  }

  /** The file has ended. @throws LowrankError E_CSV */
  end(): void {
    if (this.#state === State.Quoted) throw this.#notClosed("");
    if (this.#state === State.Begin && this.#ends.length === 0) return;
    const end = this.#bytes.length;
    if (this.#state === State.Begin) {
      this.#begin = end;
      this.#isDoubled = false;
    }
    this.#endRecord(this.#state === State.Quote ? end - 1 : end);
  }

  /** The rest of a record grows in place: it may be many chunks long. */
  #append(rest: Buffer, chunk: Buffer): Buffer {
    const length = rest.length + chunk.length;
    const old = this.#storage;
    if (old.length < length) this.#storage = Buffer.allocUnsafeSlow(2 * length);
    if (old !== this.#storage || rest.byteOffset !== old.byteOffset || rest.buffer !== old.buffer) {
      rest.copy(this.#storage);
    }
    chunk.copy(this.#storage, rest.length);
    return this.#storage.subarray(0, length);
  }

  /** @returns where the record that is not ended yet begins */
  #scan(from: number): number {
    const bytes = this.#bytes;
    const [separator, quote] = [this.#separator, this.#quote];
    let record = 0;
    for (let i = from; i < bytes.length; i++) {
      let byte = bytes[i]!;
      if (this.#isReturned) {
        this.#isReturned = false;
        if (byte === LINE_FEED) {
          if (this.#state === State.Begin && this.#ends.length === 0) {
            record = i + 1;
            this.#begin = record;
          }
          continue;
        }
      }
      if (this.#state === State.Begin) {
        const opens = byte === quote;
        this.#begin = opens ? i + 1 : i;
        this.#isQuoted = opens;
        this.#isDoubled = false;
        this.#quoteLine = this.#line;
        this.#state = opens ? State.Quoted : State.Plain;
        if (opens) continue;
      }
      switch (this.#state) {
        case State.Plain:
          while (byte !== separator && byte !== LINE_FEED && byte !== RETURN && ++i < bytes.length) byte = bytes[i]!;
          if (i === bytes.length) break;
          if (byte === separator) {
            this.#endField(i);
            break;
          }
          this.#endRecord(i);
          this.#isReturned = byte === RETURN;
          record = i + 1;
          break;
        case State.Quoted:
          while (byte !== quote && byte !== LINE_FEED && byte !== RETURN && ++i < bytes.length) byte = bytes[i]!;
          if (i === bytes.length) break;
          if (byte === quote) {
            this.#state = State.Quote;
            break;
          }
          this.#line++;
          this.#isReturned = byte === RETURN;
          break;
        case State.Quote:
          if (byte === quote) {
            this.#isDoubled = true;
            this.#state = State.Quoted;
          } else if (byte === separator) {
            this.#endField(i - 1);
          } else if (byte === LINE_FEED || byte === RETURN) {
            this.#endRecord(i - 1);
            this.#isReturned = byte === RETURN;
            record = i + 1;
          } else {
            throw this.#afterQuote(String.fromCharCode(byte));
          }
      }
    }
    return record;
  }

  #endField(end: number): void {
    this.#begins.push(this.#begin);
    this.#ends.push(end);
    this.#doubled.push(this.#isDoubled);
    this.#state = State.Begin;
    this.#begin = end;
    this.#isQuoted = false;
  }

  #endRecord(end: number): void {
    const isBlank = this.fields === 0 && !this.#isQuoted && isWhite(this.#bytes, this.#begin, end);
    this.#endField(end);
    if (end - this.#begins[0]! > this.#most) throw this.#tooLong();
    if (!isBlank) this.#take(this);
    this.#begins.length = 0;
    this.#ends.length = 0;
    this.#doubled.length = 0;
    this.#line++;
    this.#first = this.#line;
  }

  #tooLong(): LowrankError {
    return tooLong(`${this.#file}, line ${this.#first}`, "the record", this.#most, this.#file);
  }

  #notClosed(within: string): LowrankError {
    const advice = "Close it; if quotes of this file open no fields, read it with --csv_quoting none";
    return this.problem(`a quote that opens a field is never closed${within}. ${advice}`, this.#quoteLine);
  }

  #afterQuote(next: string): LowrankError {
    const inField = 'In a quoted field a quote is written twice, not as \\": "say ""hi"""';
    const advice =
      separatorAdvice(next) ?? `${inField}. If quotes of this file open no fields, read it with --csv_quoting none.`;
    return this.problem(`text after a closing quote. ${advice.slice(0, -1)}`, this.#quoteLine);
  }
}
