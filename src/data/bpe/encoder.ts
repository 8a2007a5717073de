// Byte-level BPE tokenizers (GPT-2, Llama 3, Qwen, SmolLM and many more) in JavaScript. They have several times the
// package's speed: words come again and again, and each is merged once. Texts and settings that are not known to give the
// package's tokens are left to the package.

import { Reach } from "../reach.js";
import type { Span } from "../render/renderer.js";
import { IntList } from "./int-list.js";
import { Merges } from "./merges.js";
import { type Placing, putPlaces } from "./places.js";
import type { BpePlan } from "./plan.js";
import { isOfUnits, type Scanner, scannerOf } from "./scanner.js";
import { type Splitter, splitter } from "./splitters.js";
import { tokenOf } from "./vocabulary.js";
import { UNKNOWN, WordTable, withRoom } from "./word-table.js";

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

const UTF8 = new TextEncoder();

const NONE_ADDED = { before: [], after: [] };

export interface BpeOptions {
  /** Tokens that a text is cut to, special tokens included; undefined does not cut. */
  maxLength?: number | undefined;
  /** Side that is cut. Default right. */
  side?: "left" | "right";
  /** Whether the tokenizer's special tokens are added. Default true. */
  specialTokens?: boolean;
}

/** Told of a piece of a text when its tokens are made: of the text between added tokens, or of an added token. */
type ToldPiece = (from: number, to: number, firstToken: number, nextToken: number) => void;

export class BpeEncoder {
  readonly #plan: BpePlan;
  readonly #scanner: Scanner | undefined;
  readonly #splitters: Splitter[];
  readonly #merges: Merges;
  readonly #accepted: RegExp;
  readonly #added: RegExp | null;
  /** Each added token, the longest of several at a place. */
  readonly #addedIn: RegExp | null;
  readonly #words = new WordTable(REMEMBERED);
  #ids = new Int32Array(1 << 12);
  #mask = new Uint8Array(1 << 12);
  /** A word's. */
  #bytes = new Uint8Array(1 << 8);
  /** Of the words of a piece: where each ends, and the number of tokens up to there. */
  readonly #ends = new IntList(1 << 10);
  readonly #counts = new IntList(1 << 10);

  constructor(plan: BpePlan) {
    this.#plan = plan;
    this.#scanner = scannerOf(plan.cuts);
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
    if (this.#added?.test(text)) return null;
    const { before, after } = specialTokens ? this.#plan : NONE_ADDED;
    const room = maxLength - before.length - after.length;
    if (room <= 0) return null;
    this.#reserve(before.length);
    this.#ids.set(before);
    // Every word is a token at least, so no more than `room` words of a long text count.
    const enough = side === "right" ? before.length + room : Number.POSITIVE_INFINITY;
    let count = this.#putWords(text, 0, text.length, before.length, enough);
    if (count < 0) return null;
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
    const count = this.#walk(text, placing, (from, _, firstToken) => {
      this.#eachWord(from, firstToken, (begin, end, first, next) => {
        putPlaces(places, text.slice(begin, end), begin, this.#ids.subarray(first, next), placing, first === 0);
      });
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
    const count = this.#walk(text, placing, (from, to, firstToken, nextToken) => {
      this.#mask = withRoom(this.#mask, nextToken);
      const isLearned = reach.ofWord(from, to);
      if (isLearned !== undefined) this.#mask.fill(Number(isLearned), firstToken, nextToken);
      else
        this.#eachWord(from, firstToken, (begin, end, first, next) => {
          const isWordLearned = reach.ofWord(begin, end);
          if (isWordLearned !== undefined) {
            this.#mask.fill(Number(isWordLearned), first, next);
            return;
          }
          // Few words lie over a border: the places of their tokens decide.
          places.length = 0;
          putPlaces(places, text.slice(begin, end), begin, this.#ids.subarray(first, next), placing, first === 0);
          for (let i = first; i < next; i++) {
            const at = 2 * (i - first);
            this.#mask[i] = Number(reach.of(places.at(at), places.at(at + 1)));
          }
        });
    });
    return count < 0 ? null : { ids: this.#ids.slice(0, count), mask: this.#mask.slice(0, count) };
  }

  /** The words of the last piece, which begins at `from`: each with its place in the text, its first token and the token after it. */
  #eachWord(from: number, firstToken: number, told: ToldPiece): void {
    let [begin, first] = [from, firstToken];
    for (let i = 0; i < this.#ends.length; i++) {
      const [end, next] = [this.#ends.at(i), this.#counts.at(i)];
      told(begin, end, first, next);
      [begin, first] = [end, next];
    }
  }

  /**
   * Puts the tokens of a text into `#ids`.
   * @param told of each piece, in order
   * @returns their number; -1 where the package has to be asked
   */
  #walk(text: string, placing: Placing, told: ToldPiece): number {
    let at = 0;
    let count = 0;
    const putAll = (to: number): boolean => {
      if (at === to) return true;
      const next = this.#putWords(text, at, to, count, Number.POSITIVE_INFINITY);
      if (next < 0) return false;
      told(at, to, count, next);
      [at, count] = [to, next];
      return true;
    };
    for (const { 0: token, index } of this.#addedIn ? text.matchAll(this.#addedIn) : []) {
      if (!putAll(index)) return -1;
      const to = at + token.length;
      this.#ends.length = 0;
      this.#counts.length = 0;
      this.#ends.push(to);
      this.#counts.push(count + 1);
      this.#reserve(count + 1);
      this.#ids[count] = placing.added.get(token)!;
      told(at, to, count, count + 1);
      [at, count] = [to, count + 1];
    }
    return putAll(text.length) ? count : -1;
  }

  /**
   * Puts the tokens of a part of a text into `#ids`, behind `count` of them, and tells its words in `#ends` and `#counts`.
   * @param enough number of tokens after which no more are needed
   * @returns the number with them; -1 where the package has to be asked
   */
  #putWords(text: string, from: number, to: number, count: number, enough: number): number {
    if (!this.#split(text, from, to)) return -1;
    const ends = this.#ends;
    const counts = this.#counts;
    counts.length = 0;
    let begin = from;
    let next = count;
    for (let i = 0; i < ends.length && next < enough; i++) {
      const end = ends.at(i);
      const found = this.#words.find(text, begin, end);
      if (found >= 0 && found !== UNKNOWN) {
        if (next === this.#ids.length) this.#reserve(next + 1);
        this.#ids[next++] = found;
      } else {
        const tokens = found === UNKNOWN ? this.#learn(text, begin, end) : this.#words.tokensOf(found);
        if (tokens === null) return -1;
        this.#reserve(next + tokens.length);
        this.#ids.set(tokens, next);
        next += tokens.length;
      }
      counts.push(next);
      begin = end;
    }
    return next;
  }

  /** Puts the ends of the words of a part of a text into `#ends`. @returns whether it is for us */
  #split(text: string, from: number, to: number): boolean {
    const ends = this.#ends;
    ends.length = 0;
    const part = text.slice(from, to);
    if (!this.#accepted.test(part)) return false;
    if (this.#scanner && isOfUnits(part)) {
      this.#scanner(text, from, to, ends, this.#plan.classes);
      return true;
    }
    let pieces = [part];
    for (const split of this.#splitters) pieces = pieces.length === 1 ? split(pieces[0]!) : pieces.flatMap(split);
    let at = from;
    for (const piece of pieces) {
      at += piece.length;
      ends.push(at);
    }
    return at === to;
  }

  /** The tokens of a word that is not known yet; null where the package has to be asked. */
  #learn(text: string, begin: number, end: number): Int32Array | null {
    const length = this.#bytesOf(text, begin, end);
    const { wholeWords } = this.#plan;
    const whole = wholeWords === null ? -1 : tokenOf(wholeWords, this.#bytes, length);
    const tokens = whole < 0 ? this.#merges.encode(this.#bytes, length) : Int32Array.of(whole);
    if (tokens !== null) this.#words.add(text, begin, end, tokens);
    return tokens;
  }

  /** Puts a part of a text into `#bytes`, in UTF-8. @returns the number of bytes */
  #bytesOf(text: string, begin: number, end: number): number {
    this.#bytes = withRoom(this.#bytes, 3 * (end - begin));
    const bytes = this.#bytes;
    for (let i = begin; i < end; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return UTF8.encodeInto(text.slice(begin, end), bytes).written;
      bytes[i - begin] = code;
    }
    return end - begin;
  }

  #reserve(length: number): void {
    this.#ids = withRoom(this.#ids, length);
  }
}
