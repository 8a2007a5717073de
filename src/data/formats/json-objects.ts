// Objects one after the other: JSON Lines, also where an object takes several lines or a line holds several of them.
import { LowrankError } from "../../base/errors.js";
import type { Column, ReadOptions } from "./format.js";
import { adviceOnLarge } from "./json-field.js";
import { afterText, type Fail, isThinnable, parse, parseValue } from "./json-text.js";
import { type Line, readLines } from "./lines.js";
import { mostBytes, tooLong } from "./text-size.js";

/** A value of the file, the text that it was parsed from, and the line that it begins in. */
export interface Parsed {
  value: unknown;
  text: string;
  at: number;
}

const JOINED = 4096;

/** Takes text that is not one value a line apart at the brackets outside of texts. */
class Splitter {
  readonly #file: string;
  readonly #most: number;
  readonly #isThin: boolean;
  /** The value that is open: its lines so far, the older ones joined; where it begins, and how deep in it they end. */
  #older: string[] = [];
  #lines: string[] = [];
  #length = 0;
  #at = 0;
  #column = 1;
  #depth = 0;
  /** Number of the line after the last one. */
  #next = 1;

  /** @param isThin see `parse` */
  constructor(file: string, most: number, isThin: boolean) {
    this.#file = file;
    this.#most = most;
    this.#isThin = isThin;
  }

  get isOpen(): boolean {
    return this.#lines.length > 0;
  }

  /** @returns the values that end in a line. @throws LowrankError E_JSON, E_TEXT_SIZE */
  add({ text: line, number }: Line): Parsed[] {
    // Empty lines are not given one by one, but count in the place of an error.
    if (this.isOpen && number > this.#next) this.#keep("\n".repeat(number - this.#next - 1));
    this.#next = number + 1;
    const values: Parsed[] = [];
    const token = /["[\]{}]/g;
    let begin = 0;
    for (let found = token.exec(line); found; found = token.exec(line)) {
      if (!this.isOpen && this.#depth === 0) this.#begin(number, begin + 1);
      const character = found[0];
      if (character === '"') {
        token.lastIndex = afterText(line, found.index);
        // No text goes on in the next line.
        if (token.lastIndex > line.length) this.#end(line.slice(begin));
        continue;
      }
      this.#depth += character === "[" || character === "{" ? 1 : -1;
      if (this.#depth > 0) continue;
      values.push(this.#end(line.slice(begin, token.lastIndex)));
      begin = token.lastIndex;
    }
    const rest = line.slice(begin);
    if (rest.trim() === "" && !this.isOpen && this.#depth === 0) return values;
    if (!this.isOpen && this.#depth === 0) this.#begin(number, begin + 1);
    if (this.#depth === 0) values.push(this.#end(rest));
    else this.#keep(rest);
    return values;
  }

  /** The file has ended. @throws LowrankError E_JSON where a value has not */
  end(): void {
    if (this.isOpen) parseValue([...this.#older, ...this.#lines].join("\n"), this.#isThin, this.#fail);
  }

  #begin(line: number, column: number): void {
    this.#at = line;
    this.#column = column;
  }

  #keep(line: string): void {
    // Millions of short lines would take many times their text.
    if (this.#lines.length === JOINED) this.#older.push(this.#lines.splice(0).join("\n"));
    this.#lines.push(line);
    this.#length += line.length + 1;
    if (this.#length <= this.#most) return;
    throw tooLong(`${this.#file}, line ${this.#at}`, "the object", this.#most, this.#file);
  }

  #end(last: string): Parsed {
    const text = [...this.#older, ...this.#lines, last].join("\n");
    const value = parseValue(text, this.#isThin, this.#fail);
    this.#older = [];
    this.#lines = [];
    this.#length = 0;
    this.#depth = 0;
    return { value, text, at: this.#at };
  }

  readonly #fail: Fail = (reason, at, cause) => {
    const column = at.line === 1 ? this.#column + at.column - 1 : at.column;
    const place = `${this.#file}, line ${this.#at + at.line - 1}, column ${column}`;
    const message = `${place}: not valid JSON: ${reason}. Expected whole objects, one a line.`;
    return new LowrankError("E_JSON", message, this.#file, { cause });
  };
}

function parsed({ text, number }: Line, isThin: boolean): Parsed | undefined {
  try {
    return { value: parse(text, isThin), text, at: number };
  } catch {
    return undefined;
  }
}

async function* read(file: string, columns: Column[], options: ReadOptions): AsyncGenerator<Parsed[]> {
  const isThin = isThinnable(columns);
  const splitter = new Splitter(file, mostBytes(options), isThin);
  for await (const lines of readLines(file, options)) {
    const values: Parsed[] = [];
    for (const line of lines) {
      if (!splitter.isOpen && line.text.trim() === "") continue;
      const one = splitter.isOpen ? undefined : parsed(line, isThin);
      if (one) values.push(one);
      else values.push(...splitter.add(line));
    }
    yield values;
  }
  splitter.end();
}

/**
 * The values of a file, some at a time.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8, E_JSON, E_TEXT_SIZE
 */
export async function* readObjects(file: string, columns: Column[], options: ReadOptions): AsyncGenerator<Parsed[]> {
  try {
    yield* read(file, columns, options);
  } catch (error) {
    if (!(error instanceof LowrankError && error.code === "E_TEXT_SIZE")) throw error;
    const advice = await adviceOnLarge(
      file,
      columns.map(({ name }) => name),
    );
    throw new LowrankError(error.code, `${error.message}${advice}`, file);
  }
}
