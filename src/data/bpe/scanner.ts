// The pre-tokenizers of most byte-level models as scanners of character classes: GPT-2's pattern and GPT-4's. They give the ends of the words
// that the regular expressions match, in a tenth of the time. A test holds them against the expressions, and the encoder's tests against
// the package.
import type { IntList } from "./int-list.js";
import { BYTE_LEVEL, type Cut, digitsCut, translate } from "./splitters.js";

/** Adds the ends of a text's words, in order. `classes` is `classTable`'s. */
export type Scanner = (text: string, from: number, to: number, ends: IntList, classes: Uint8Array) => void;

const OTHER = 0;
const LETTER = 1;
const NUMBER = 2;
const SPACE = 3;

const FEED = 0x0a;
const RETURN = 0x0d;
const BLANK = 0x20;
const APOSTROPHE = 0x27;
/** Digits of a number that is one piece. */
const MANY = 2 ** 29;

/** Class of each UTF-16 unit, in memory that threads can share: expressions take long to find them. */
export function classTable(): Uint8Array {
  const table = new Uint8Array(new SharedArrayBuffer(1 << 16)).fill(OTHER);
  const all = Array.from({ length: 256 }, (_, high) =>
    String.fromCharCode(...Array.from({ length: 256 }, (_, low) => 256 * high + low)),
  ).join("");
  for (const [pattern, own] of [
    [/\p{L}+/gu, LETTER],
    [/\p{N}+/gu, NUMBER],
    [/\p{White_Space}+/gu, SPACE],
  ] as const)
    for (const { 0: run, index } of all.matchAll(pattern)) table.fill(own, index, index + run.length);
  return table;
}

/** Whether each character of a text is one UTF-16 unit: others are left to the expressions. */
export const isOfUnits = (text: string): boolean => !/[\uD800-\uDFFF]/.test(text);

/** Behind 's, 't, 're, 've, 'm, 'll or 'd at an apostrophe; 0 where none is there. */
function contraction(text: string, at: number, to: number, anyCase: boolean): number {
  let next = at + 1 < to ? text.charCodeAt(at + 1) : 0;
  let last = at + 2 < to ? text.charCodeAt(at + 2) : 0;
  if (anyCase) {
    // Long s is an s, too.
    next = next === 0x17f ? 0x73 : next | 0x20;
    last |= 0x20;
  }
  // s, t, m, d; then re, ve, ll.
  if (next === 0x73 || next === 0x74 || next === 0x6d || next === 0x64) return at + 2;
  if ((next === 0x72 || next === 0x76) && last === 0x65) return at + 3;
  return next === 0x6c && last === 0x6c ? at + 3 : 0;
}

/** Behind the characters of one class that begin at a place. */
function endOfRun(text: string, at: number, to: number, own: number, table: Uint8Array): number {
  let end = at + 1;
  while (end < to && table[text.charCodeAt(end)] === own) end++;
  return end;
}

/** White space up to `end`; before another character its last one is left to the next word. */
const blanks = (at: number, end: number, to: number): number => (end < to && end - at > 1 ? end - 1 : end);

/** @returns the end of the word that begins at a place. GPT-2's pattern. */
function gpt2Word(text: string, at: number, to: number, table: Uint8Array): number {
  const code = text.charCodeAt(at);
  if (code === APOSTROPHE) {
    const end = contraction(text, at, to, false);
    if (end > 0) return end;
  }
  const begin = code === BLANK && at + 1 < to ? at + 1 : at;
  const own = table[text.charCodeAt(begin)]!;
  if (own !== SPACE) return endOfRun(text, begin, to, own, table);
  return blanks(at, endOfRun(text, at, to, SPACE, table), to);
}

const isLineEnd = (code: number): boolean => code === FEED || code === RETURN;

/** The same of GPT-4's pattern. @param digits of a number's piece, at most */
function gpt4Word(text: string, at: number, to: number, table: Uint8Array, digits: number): number {
  const code = text.charCodeAt(at);
  if (code === APOSTROPHE) {
    const end = contraction(text, at, to, true);
    if (end > 0) return end;
  }
  const own = table[code]!;
  if (own === LETTER) return endOfRun(text, at, to, LETTER, table);
  if (own === NUMBER) return endOfRun(text, at, Math.min(to, at + digits), NUMBER, table);
  const next = at + 1 < to ? table[text.charCodeAt(at + 1)]! : SPACE;
  if (next === LETTER && !isLineEnd(code)) return endOfRun(text, at + 1, to, LETTER, table);
  if (own === OTHER || (code === BLANK && next === OTHER)) {
    let end = endOfRun(text, own === OTHER ? at : at + 1, to, OTHER, table);
    while (end < to && isLineEnd(text.charCodeAt(end))) end++;
    return end;
  }
  const end = endOfRun(text, at, to, SPACE, table);
  for (let last = end; last > at; last--) if (isLineEnd(text.charCodeAt(last - 1))) return last;
  return blanks(at, end, to);
}

type Word = (text: string, at: number, to: number, table: Uint8Array) => number;

const allWords =
  (word: Word): Scanner =>
  (text, from, to, ends, table) => {
    for (let at = from; at < to; ends.push(at)) at = word(text, at, to, table);
  };

/** Numbers, one by one or together, and the words of the text between them. */
const numbersApart =
  (word: Word, single: boolean): Scanner =>
  (text, from, to, ends, table) => {
    for (let at = from; at < to; ) {
      if (table[text.charCodeAt(at)] === NUMBER) {
        at = single ? at + 1 : endOfRun(text, at, to, NUMBER, table);
        ends.push(at);
        continue;
      }
      let end = at + 1;
      while (end < to && table[text.charCodeAt(end)] !== NUMBER) end++;
      for (; at < end; ends.push(at)) at = word(text, at, end, table);
    }
  };

const gpt4 = (numbers: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Scanners by the sources of their cuts. */
const SCANNERS = new Map<string, Scanner>(
  (
    [
      [[translate(BYTE_LEVEL)], allWords(gpt2Word)],
      [[digitsCut(true).source, translate(BYTE_LEVEL)], numbersApart(gpt2Word, true)],
      [[digitsCut(false).source, translate(BYTE_LEVEL)], numbersApart(gpt2Word, false)],
      [[translate(gpt4("\\p{N}{1,3}"))], allWords((text, at, to, table) => gpt4Word(text, at, to, table, 3))],
      [[translate(gpt4("\\p{N}"))], allWords((text, at, to, table) => gpt4Word(text, at, to, table, 1))],
      [[translate(gpt4("\\p{N}+"))], allWords((text, at, to, table) => gpt4Word(text, at, to, table, MANY))],
    ] as const
  ).map(([sources, scanner]) => [sources.join("\n"), scanner]),
);

/** Undefined where the cuts are not known. */
export const scannerOf = (cuts: readonly Cut[]): Scanner | undefined =>
  SCANNERS.get(cuts.map(({ source }) => source).join("\n"));
