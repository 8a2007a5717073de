// The members of a large JSON object one at a time: JSON.parse would hold all of them twice, and pass over a key that stands twice.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const [OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Printable ASCII, without escapes. */
const PLAIN = /^[ -[\]-~]*$/;

const isSpace = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

class Scanner {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Passes over white space and the character, if it is there. */
  takes(code: number): boolean {
    this.space();
    if (this.#text.charCodeAt(this.at) !== code) return false;
    this.at++;
    return true;
  }

  space(): void {
    while (isSpace(this.#text.charCodeAt(this.at))) this.at++;
  }

  /** Passes over a text in quotes. */
  string(): void {
    if (this.#text.charCodeAt(this.at) !== QUOTE) throw new SyntaxError("a name in quotes is missing");
    for (;;) {
      const end = this.#text.indexOf('"', this.at + 1);
      if (end === -1) throw new SyntaxError("a text has no end");
      this.at = end;
      let before = end;
      while (this.#text.charCodeAt(before - 1) === BACKSLASH) before--;
      if ((end - before) % 2 === 0) break;
    }
    this.at++;
  }

  /** Passes over a value: brackets are counted, the text within them is for JSON.parse. */
  value(): void {
    let depth = 0;
    for (; this.at < this.#text.length; ) {
      const code = this.#text.charCodeAt(this.at);
      if (code === QUOTE) {
        this.string();
        if (depth === 0) return;
        continue;
      }
      if (code === OPEN || code === OPEN_LIST) depth++;
      else if (code === CLOSE || code === CLOSE_LIST) {
        if (depth === 0) return;
        if (--depth === 0) {
          this.at++;
          return;
        }
      } else if (depth === 0 && (code === COMMA || isSpace(code))) return;
      this.at++;
    }
  }

  isAtEnd(): boolean {
    this.space();
    return this.at === this.#text.length;
  }

  /** The text in quotes that began there; most have nothing to be decoded. */
  parseString(begin: number): string {
    const content = this.#text.slice(begin + 1, this.at - 1);
    return PLAIN.test(content) ? content : (JSON.parse(this.slice(begin)) as string);
  }

  /** The text from there on. */
  slice(begin: number): string {
    return this.#text.slice(begin, this.at);
  }
}

/** Values that are parsed together: a call of JSON.parse costs as much as a small value. */
const TOGETHER = 512;

/** Keys beside the values of their texts, whose brackets are balanced, so that they mean the same in a list. */
function* parsed(keys: string[], texts: string[]): Generator<[key: string, value: unknown]> {
  let values: unknown[] = [];
  try {
    values = JSON.parse(`[${texts.join()}]`);
  } catch {}
  // If all values together are wrong, each is parsed alone, after the ones before it.
  const isWhole = values.length === texts.length;
  for (const [i, key] of keys.entries()) yield [key, isWhole ? values[i] : JSON.parse(texts[i]!)];
}

/**
 * Keys and values of a JSON object in their order; a key that stands twice comes twice.
 * @throws SyntaxError where the text is no JSON object
 */
export function* members(text: string): Generator<[key: string, value: unknown]> {
  const scanner = new Scanner(text);
  if (!scanner.takes(OPEN)) throw new SyntaxError("it does not begin with a brace");
  for (let isOpen = !scanner.takes(CLOSE); isOpen; ) {
    const keys: string[] = [];
    const texts: string[] = [];
    let failure: unknown;
    try {
      while (isOpen && keys.length < TOGETHER) {
        readMember(scanner, keys, texts);
        isOpen = scanner.takes(COMMA);
      }
      if (!isOpen && !scanner.takes(CLOSE)) failure = new SyntaxError("the last brace is missing");
    } catch (error) {
      failure = error;
    }
    yield* parsed(keys, texts);
    if (failure) throw failure;
  }
  if (!scanner.isAtEnd()) throw new SyntaxError("something follows the last brace");
}

function readMember(scanner: Scanner, keys: string[], texts: string[]): void {
  scanner.space();
  let begin = scanner.at;
  scanner.string();
  const key = scanner.parseString(begin);
  if (!scanner.takes(COLON)) throw new SyntaxError(`a colon is missing after ${JSON.stringify(key)}`);
  scanner.space();
  begin = scanner.at;
  scanner.value();
  keys.push(key);
  texts.push(scanner.slice(begin));
}
