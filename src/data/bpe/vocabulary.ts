// The vocabulary and the merges of a tokenizer.json, read from the file's bytes. JSON.parse would make a string of each token and of
// each half of a merge, which takes longer than the first megabyte of texts.
import { IntList } from "./int-list.js";
import { LETTER_BYTES, LETTERS } from "./letters.js";

/** A hash table of tokens by the bytes that they stand for, in memory that threads can share. */
export interface Vocabulary {
  /** `SLOT` numbers a slot, a power of two of them: hash, place in `keys`, length, and token, which is `NONE` in an empty slot. */
  slots: Int32Array;
  keys: Uint8Array;
}

const SLOT = 4;
const NONE = -1;
/** Bytes of the shortest entry of a vocabulary: `"a":1,`. */
const LEAST_ENTRY = 6;

const FNV_BEGIN = 0x811c9dc5 | 0;
const hashed = (hash: number, byte: number): number => Math.imul(hash ^ byte, 0x01000193);

const shared = (bytes: number) => new SharedArrayBuffer(bytes);

/** Where a token's slot is looked for first. */
const home = (hash: number, slots: Int32Array): number => ((hash ^ (hash >>> 15)) & (slots.length / SLOT - 1)) * SLOT;

/** The token of some bytes; `NONE` where there is none. */
export function tokenOf({ slots, keys }: Vocabulary, word: Uint8Array, length: number): number {
  let hash = FNV_BEGIN;
  for (let i = 0; i < length; i++) hash = hashed(hash, word[i]!);
  for (let at = home(hash, slots); slots[at + 3] !== NONE; at = (at + SLOT) & (slots.length - 1)) {
    if (slots[at] !== hash || slots[at + 2] !== length) continue;
    const from = slots[at + 1]!;
    let i = 0;
    while (i < length && keys[from + i] === word[i]) i++;
    if (i === length) return slots[at + 3]!;
  }
  return NONE;
}

/** The lists of a tokenizer.json's model. */
export interface ModelLists {
  vocabulary: Vocabulary;
  /** Left, right and resulting token of each merge, one after the other; -1 thrice for one that no word of bytes meets. */
  merges: IntList;
  largestId: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const BLANK = 0x20;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const SHORT_ESCAPES: Record<string, number> = { b: 8, f: 12, n: 10, r: 13, t: 9 };

/** The file is not written as expected: the package may know more. */
class Unexpected extends Error {}

class Reader {
  at = 0;
  /** Of the token read last, as bytes in the place of its letters: where they begin and end, and their hash. */
  begin = 0;
  end = 0;
  hash = 0;
  /** Whether all its letters stand for bytes. */
  isOfBytes = true;

  constructor(readonly bytes: Uint8Array) {}

  /** Passes over white space. @returns the byte behind it */
  next(): number {
    const { bytes } = this;
    let byte = bytes[this.at];
    while (byte === BLANK || byte === 10 || byte === 13 || byte === 9) byte = bytes[++this.at];
    if (byte === undefined) throw new Unexpected();
    return byte;
  }

  /** Passes over one of these bytes. @returns which it was */
  take(...expected: number[]): number {
    const byte = this.next();
    if (!expected.includes(byte)) throw new Unexpected();
    this.at++;
    return byte;
  }

  /** A text of letters, behind its opening quote or a blank. @returns what ended it: a quote, or a blank */
  letters(): number {
    const { bytes } = this;
    let { at } = this;
    let to = at;
    let hash = FNV_BEGIN;
    this.begin = at;
    this.isOfBytes = true;
    for (;;) {
      let code = bytes[at];
      if (code === undefined) throw new Unexpected();
      if (code === QUOTE || code === BLANK) {
        this.at = at + 1;
        this.end = to;
        this.hash = hash;
        return code;
      }
      if (code === BACKSLASH) {
        const kind = String.fromCharCode(bytes[at + 1] ?? 0);
        const isLong = kind === "u";
        const digits = isLong ? String.fromCharCode(...bytes.subarray(at + 2, at + 6)) : "";
        code = isLong ? Number.parseInt(digits, 16) : (SHORT_ESCAPES[kind] ?? kind.charCodeAt(0));
        at += isLong ? 6 : 2;
      } else if (code < 0x80) at++;
      else if (code < 0xe0) {
        code = ((code & 31) << 6) | (bytes[at + 1]! & 63);
        at += 2;
      } else {
        at += code < 0xf0 ? 3 : 4;
        code = LETTER_BYTES.length;
      }
      const byte = code < LETTER_BYTES.length ? LETTER_BYTES[code]! : NONE;
      if (byte === NONE) {
        this.isOfBytes = false;
        continue;
      }
      bytes[to++] = byte;
      hash = hashed(hash, byte);
    }
  }

  /** A whole text behind its opening quote. */
  text(): void {
    const begin = this.at;
    if (this.letters() === QUOTE) return;
    // No letter is a blank: it is no token of bytes.
    while (this.letters() !== QUOTE);
    this.begin = begin;
    this.isOfBytes = false;
  }

  whole(): number {
    let byte = this.next();
    let number = 0;
    const from = this.at;
    for (; byte >= 0x30 && byte <= 0x39; byte = this.bytes[++this.at]!) number = 10 * number + byte - 0x30;
    if (this.at === from || number >= 2 ** 31) throw new Unexpected();
    return number;
  }
}

/** Where the value of a key begins that opens with a certain bracket. */
function placeOf(bytes: Buffer, key: string, bracket: number): number {
  const reader = new Reader(bytes);
  for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + 1)) {
    reader.at = at + key.length;
    if (reader.next() !== COLON) continue;
    reader.at++;
    if (reader.next() === bracket) return reader.at;
  }
  throw new Unexpected();
}

/** The slot of a token whose bytes lie in one place or in two. */
class Tokens {
  readonly #reader: Reader;
  readonly #slots: Int32Array;
  readonly #keys: Uint8Array;

  constructor(reader: Reader, { slots, keys }: Vocabulary) {
    this.#reader = reader;
    this.#slots = slots;
    this.#keys = keys;
  }

  /** @param begin of the first bytes, up to `end`; the others begin at `more` @returns a slot with the token, or an empty one */
  slot(hash: number, begin: number, end: number, more = 0, moreEnd = 0): number {
    const slots = this.#slots;
    const keys = this.#keys;
    const { bytes } = this.#reader;
    const first = end - begin;
    const length = first + moreEnd - more;
    for (let at = home(hash, slots); ; at = (at + SLOT) & (slots.length - 1)) {
      if (slots[at + 3] === NONE) return at;
      if (slots[at] !== hash || slots[at + 2] !== length) continue;
      const from = slots[at + 1]!;
      let i = 0;
      while (i < first && keys[from + i] === bytes[begin + i]) i++;
      while (i < length && i >= first && keys[from + i] === bytes[more + i - first]) i++;
      if (i === length) return at;
    }
  }

  /** @throws Unexpected where there is no such token */
  id(hash: number, begin: number, end: number, more = 0, moreEnd = 0): number {
    const id = this.#slots[this.slot(hash, begin, end, more, moreEnd) + 3]!;
    if (id === NONE) throw new Unexpected();
    return id;
  }
}

/** @returns the largest id */
function readVocabulary(reader: Reader, tokens: Tokens, slots: Int32Array, origin: number): number {
  let largestId = NONE;
  reader.take(OPEN);
  if (reader.next() === CLOSE) throw new Unexpected();
  do {
    reader.take(QUOTE);
    reader.text();
    reader.take(COLON);
    const { hash, begin, end } = reader;
    const id = reader.whole();
    largestId = Math.max(largestId, id);
    if (!reader.isOfBytes) continue;
    const at = tokens.slot(hash, begin, end);
    slots[at] = hash;
    slots[at + 1] = begin - origin;
    slots[at + 2] = end - begin;
    slots[at + 3] = id;
  } while (reader.take(COMMA, CLOSE) === COMMA);
  return largestId;
}

/** A merge is a text of both tokens with a blank between, or a list of both. */
function readMerges(reader: Reader, tokens: Tokens): IntList {
  const merges = new IntList(1 << 16);
  reader.take(OPEN_LIST);
  if (reader.next() === CLOSE_LIST) return merges;
  do {
    const isList = reader.take(QUOTE, OPEN_LIST) === OPEN_LIST;
    if (isList) {
      reader.take(QUOTE);
      reader.text();
      reader.take(COMMA);
      reader.take(QUOTE);
    } else if (reader.letters() !== BLANK) throw new Unexpected();
    const { hash, begin, end, isOfBytes } = reader;
    if (isList) reader.text();
    else if (reader.letters() !== QUOTE) throw new Unexpected();
    if (isList) reader.take(CLOSE_LIST);
    if (isOfBytes && reader.isOfBytes) {
      let both = hash;
      for (let i = reader.begin; i < reader.end; i++) both = hashed(both, reader.bytes[i]!);
      merges.push(tokens.id(hash, begin, end));
      merges.push(tokens.id(reader.hash, reader.begin, reader.end));
      merges.push(tokens.id(both, begin, end, reader.begin, reader.end));
    } else for (let i = 0; i < 3; i++) merges.push(NONE);
  } while (reader.take(COMMA, CLOSE_LIST) === COMMA);
  return merges;
}

/**
 * The model's lists and the rest of a tokenizer.json.
 * @param bytes of the file, which change: tokens are decoded in their place
 * @returns null where it has no such lists, or is written in a way that is not known here
 */
export function readModelLists(bytes: Buffer): { rest: Record<string, unknown>; lists: ModelLists } | null {
  try {
    const [first, second] = [placeOf(bytes, '"vocab"', OPEN), placeOf(bytes, '"merges"', OPEN_LIST)];
    const entries = ((second > first ? second : bytes.length) - first) / LEAST_ENTRY;
    const size = 2 ** Math.ceil(Math.log2(2 * entries + 2));
    const slots = new Int32Array(shared(size * SLOT * Int32Array.BYTES_PER_ELEMENT)).fill(NONE);
    const reader = new Reader(bytes);
    const tokens = new Tokens(reader, { slots, keys: bytes.subarray(first) });
    reader.at = first;
    const largestId = readVocabulary(reader, tokens, slots, first);
    const vocab = [first, reader.at] as const;
    reader.at = second;
    const merges = readMerges(reader, tokens);
    const [a, b] = first < second ? [vocab, [second, reader.at]] : [[second, reader.at], vocab];
    const others = [bytes.subarray(0, a[0]), bytes.subarray(a[1], b[0]), bytes.subarray(b[1])];
    const rest = JSON.parse(others.join("null"));
    if (rest.model?.vocab !== null || rest.model.merges !== null) return null;
    return { rest, lists: { vocabulary: { slots, keys: bytes.subarray(...vocab) }, merges, largestId } };
  } catch (error) {
    if (error instanceof Unexpected || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A vocabulary whose keys threads can share, too. */
export function sharedVocabulary({ slots, keys }: Vocabulary): Vocabulary {
  const own = new Uint8Array(shared(keys.length));
  own.set(keys);
  return { slots, keys: own };
}

/** Token of each of the 256 bytes, -1 where there is none. */
export function byteTokens(vocabulary: Vocabulary): Int32Array {
  return Int32Array.from(LETTERS, (_, byte) => tokenOf(vocabulary, Uint8Array.of(byte), 1));
}

/** Bytes that each token stands for, by its number, in memory that threads can share. */
export function tokenLengths({ vocabulary: { slots }, largestId }: ModelLists): Int32Array {
  const lengths = new Int32Array(shared((largestId + 1) * Int32Array.BYTES_PER_ELEMENT));
  for (let at = 0; at < slots.length; at += SLOT) if (slots[at + 3] !== NONE) lengths[slots[at + 3]!] = slots[at + 2]!;
  return lengths;
}
