// Byte-level BPE tokenizers (GPT-2, Llama 3, Qwen, SmolLM and many more) in JavaScript. They have several times the
// package's speed: words come again and again, and each is merged once. Texts and settings that are not known to give the
// package's tokens are left to the package.

import { Reach } from "../reach.js";
import type { Span } from "../render/renderer.js";
import { IntList } from "./int-list.js";
import { Merges } from "./merges.js";
import { type Placing, putPlaces } from "./places.js";
import { type BpePlan, LETTERS } from "./plan.js";
import { type Splitter, splitter } from "./splitters.js";

/** Words that are remembered; a corpus in one language has fewer. */
const REMEMBERED = 1 << 20;

/**
 * Texts of these characters alone: whether one is a letter, a digit or white space has been the same in every version of
 * Unicode that the package, its regular expressions and JavaScript may know.
 */
const LATIN = "\\u0000-\\u024F";
const SYMBOLS = "\\u2010-\\u2027\\u2030-\\u205E\\u20A0-\\u20B5\\u2190-\\u21FF";
const OTHERS =
  "\\u0391-\\u03A1\\u03A3-\\u03CE\\u0400-\\u0482\\u048A-\\u0513\\u05D0-\\u05EA\\u0621-\\u063A\\u0641-\\u064A" +
  "\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u2200-\\u22FF\\u2500-\\u25FF\\u3000-\\u3003\\u3005-\\u3020" +
  "\\u3041-\\u3096\\u30A1-\\u30FA\\u4E00-\\u9FA5\\uAC00-\\uD7A3\\uFF01-\\uFF5E\\u{1F300}-\\u{1F320}\\u{1F600}-\\u{1F610}";

const KNOWN = new RegExp(`^[${LATIN}${SYMBOLS}${OTHERS}]*$`, "u");
/** Each of these is its own normal form C, whatever follows. */
const NORMAL = new RegExp(`^[${LATIN}${SYMBOLS}]*$`, "u");

const escapeRegex = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

const NONE_ADDED = { before: [], after: [] };

export interface BpeOptions {
  /** Tokens that a text is cut to, special tokens included; undefined does not cut. */
  maxLength?: number | undefined;
  /** Side that is cut. Default right. */
  side?: "left" | "right";
  /** Whether the tokenizer's special tokens are added. Default true. */
  specialTokens?: boolean;
}

/** Told of a word of a text, its tokens and where it begins. @param isFirst whether it is the first */
type ToldWord = (tokens: number | Int32Array, word: string, at: number, isFirst: boolean) => void;

export class BpeEncoder {
  readonly #plan: BpePlan;
  readonly #splitters: Splitter[];
  readonly #merges: Merges;
  readonly #accepted: RegExp;
  readonly #added: RegExp | null;
  /** Each added token, the longest of several at a place. */
  readonly #addedIn: RegExp | null;
  /** Tokens of words, a number where it is one. */
  #words = new Map<string, number | Int32Array>();
  #ids = new Int32Array(1 << 12);
  #mask = new Uint8Array(1 << 12);

  constructor(plan: BpePlan) {
    this.#plan = plan;
    this.#splitters = plan.cuts.map(splitter);
    this.#merges = new Merges(plan.merges);
    this.#accepted = plan.isNormalised ? NORMAL : KNOWN;
    const longestFirst = [...(plan.placing?.added.keys() ?? [])].sort((a, b) => b.length - a.length);
    this.#addedIn = longestFirst.length > 0 ? new RegExp(longestFirst.map(escapeRegex).join("|"), "gu") : null;
    this.#added = plan.added.length > 0 ? new RegExp(plan.added.map(escapeRegex).join("|"), "u") : null;
  }

  /**
   * Tokens of a text, as the package would make them.
   * @returns null where the package has to be asked
   */
  encode(
    text: string,
    { maxLength = Number.POSITIVE_INFINITY, side = "right", specialTokens = true }: BpeOptions = {},
  ): Int32Array | null {
    if (!this.#accepted.test(text) || this.#added?.test(text)) return null;
    const { before, after } = specialTokens ? this.#plan : NONE_ADDED;
    const room = maxLength - before.length - after.length;
    if (room <= 0) return null;
    let count = before.length;
    this.#reserve(count);
    this.#ids.set(before);
    // Every word is a token at least, so no more than `room` words of a long text count.
    const enough = side === "right" ? before.length + room : Number.POSITIVE_INFINITY;
    for (const word of this.#split(text)) {
      const tokens = this.#words.get(word) ?? this.#learn(word);
      if (tokens === null) return null;
      count = this.#put(tokens, count);
      if (count >= enough) break;
    }
    if (count - before.length > room) {
      if (side === "left") this.#ids.copyWithin(before.length, count - room, count);
      count = before.length + room;
    }
    this.#reserve(count + after.length);
    this.#ids.set(after, count);
    return this.#ids.slice(0, count + after.length);
  }

  /**
   * Tokens of a whole text without special tokens around it, as the package would make and place them. Added tokens may stand in the text.
   * @returns null where the package has to be asked
   */
  encodePlaced(text: string): { ids: Int32Array; places: Int32Array } | null {
    const { placing } = this.#plan;
    if (placing === null) return null;
    const places = new IntList(text.length >> 1);
    const count = this.#walk(text, placing, (tokens, word, at, isFirst) => {
      putPlaces(places, word, at, tokens, placing, isFirst);
    });
    return count < 0 ? null : { ids: this.#ids.slice(0, count), places: places.taken() };
  }

  /**
   * The same tokens, with 1 for each that reaches into a part of the text.
   * @returns null where the package has to be asked
   */
  encodeLearned(text: string, parts: readonly Span[]): { ids: Int32Array; mask: Uint8Array } | null {
    const { placing } = this.#plan;
    if (placing === null) return null;
    const reach = new Reach(parts);
    const places = new IntList(16);
    let length = 0;
    const count = this.#walk(text, placing, (tokens, word, at, isFirst) => {
      const tokenCount = typeof tokens === "number" ? 1 : tokens.length;
      if (length + tokenCount > this.#mask.length) this.#mask = larger(this.#mask, length + tokenCount);
      const isLearned = reach.ofWord(at, at + word.length);
      if (isLearned !== undefined) this.#mask.fill(Number(isLearned), length, length + tokenCount);
      else {
        // Few words lie over a border: the places of their tokens decide.
        places.length = 0;
        putPlaces(places, word, at, tokens, placing, isFirst);
        for (let i = 0; i < tokenCount; i++) {
          this.#mask[length + i] = Number(reach.of(places.at(2 * i), places.at(2 * i + 1)));
        }
      }
      length += tokenCount;
    });
    return count < 0 ? null : { ids: this.#ids.slice(0, count), mask: this.#mask.slice(0, count) };
  }

  /**
   * Puts the tokens of a text into `#ids`.
   * @param told of each word and each added token, in order, with its place
   * @returns their number; -1 where the package has to be asked
   */
  #walk(text: string, placing: Placing, told: ToldWord): number {
    let at = 0;
    let count = 0;
    const put = (tokens: number | Int32Array, word: string): void => {
      told(tokens, word, at, count === 0);
      count = this.#put(tokens, count);
      at += word.length;
    };
    const putAll = (piece: string): boolean => {
      if (!this.#accepted.test(piece)) return false;
      const end = at + piece.length;
      for (const word of this.#split(piece)) {
        const tokens = this.#words.get(word) ?? this.#learn(word);
        if (tokens === null) return false;
        put(tokens, word);
      }
      return at === end;
    };
    for (const found of this.#addedIn ? text.matchAll(this.#addedIn) : []) {
      if (!putAll(text.slice(at, found.index))) return -1;
      put(placing.added.get(found[0])!, found[0]);
    }
    return putAll(text.slice(at)) ? count : -1;
  }

  #split(text: string): string[] {
    let pieces = [text];
    for (const split of this.#splitters) pieces = pieces.length === 1 ? split(pieces[0]!) : pieces.flatMap(split);
    return pieces;
  }

  #learn(word: string): number | Int32Array | null {
    const bytes = Buffer.from(word);
    const whole = this.#plan.wholeWords?.get(Array.from(bytes, (byte) => LETTERS[byte]).join(""));
    const ids = whole === undefined ? this.#merges.encode(bytes) : Int32Array.of(whole);
    if (ids === null) return null;
    const tokens = ids.length === 1 ? ids[0]! : ids;
    if (this.#words.size >= REMEMBERED) this.#words = new Map();
    // A piece of a longer text would keep all of that in memory.
    this.#words.set(Buffer.from(word, "utf16le").toString("utf16le"), tokens);
    return tokens;
  }

  /** Puts a word's tokens at a place of `#ids`. @returns the place after them */
  #put(tokens: number | Int32Array, at: number): number {
    if (typeof tokens === "number") {
      if (at === this.#ids.length) this.#reserve(at + 1);
      this.#ids[at] = tokens;
      return at + 1;
    }
    this.#reserve(at + tokens.length);
    this.#ids.set(tokens, at);
    return at + tokens.length;
  }

  #reserve(length: number): void {
    if (length > this.#ids.length) this.#ids = larger(this.#ids, length);
  }
}

/** The same numbers in an array with room for twice a length. */
function larger<T extends Int32Array | Uint8Array>(numbers: T, length: number): T {
  const made = new (numbers.constructor as new (length: number) => T)(2 * length);
  made.set(numbers);
  return made;
}
