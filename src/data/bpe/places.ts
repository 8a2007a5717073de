// The places of tokens in their text, as the package gives them: in whole characters, without white space where the post-processor trims it.
import { isObject } from "../../base/json.js";
import type { IntList } from "./int-list.js";

/** Facts that places of tokens need; a plan without them leaves places to the package. */
export interface Placing {
  /** Added tokens, which are found in a text as they are. */
  added: Map<string, number>;
  /** Bytes that each token stands for, by its number; in memory that threads can share. */
  bytes: Int32Array;
  /** Whether white space at a token's ends is no part of its place; the text's first space stays part of it where the package would put one there. */
  trim: { keepsFirst: boolean } | null;
}

/** Null where more than one part of the post-processor moves places. */
function trimOf(processor: unknown): Pick<Placing, "trim"> | null {
  if (!isObject(processor)) return { trim: null };
  const all = processor.type === "Sequence" && Array.isArray(processor.processors) ? processor.processors : [processor];
  const trimming = all.filter((one) => isObject(one) && one.type === "ByteLevel" && one.trim_offsets !== false);
  if (trimming.length > 1) return null;
  return { trim: trimming.length === 0 ? null : { keepsFirst: trimming[0].add_prefix_space !== false } };
}

/**
 * @param json content of tokenizer.json @param contents texts of all added tokens
 * @param bytes that each token stands for, by its number
 */
export function placing(json: Record<string, unknown>, contents: readonly string[], bytes: Int32Array): Placing | null {
  const trim = trimOf(json.post_processor);
  const tokens: unknown[] = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const added = new Map<string, number>();
  for (const token of tokens) {
    if (!isObject(token) || typeof token.content !== "string" || !Number.isInteger(token.id)) return null;
    const { content, single_word, lstrip, rstrip, normalized } = token;
    if (single_word || lstrip || rstrip || normalized !== false || content !== content.trim()) return null;
    added.set(content, token.id as number);
  }
  if (trim === null || contents.some((content) => !added.has(content))) return null;
  return { added, bytes, ...trim };
}

/** Adds begin and end in a text of the tokens of a word, which begins at `at`. @param ids whose bytes are the word's, except where it is one token */
export function putPlaces(
  places: IntList,
  word: string,
  at: number,
  ids: ArrayLike<number>,
  { bytes, trim }: Placing,
  isFirst: boolean,
): void {
  if (ids.length === 1) {
    put(places, word, at, 0, word.length, trim, isFirst);
    return;
  }
  const units = Buffer.byteLength(word) === word.length ? null : unitsOf(word);
  let byte = 0;
  for (let i = 0; i < ids.length; i++) {
    const next = byte + bytes[ids[i]!]!;
    const begin = units ? units.begins[byte]! : byte;
    const end = units ? units.ends[next - 1]! : next;
    byte = next;
    put(places, word, at, begin, end, trim, isFirst && i === 0);
  }
}

const SPACE = 32;

/** @param from to units of the word @param isFirst whether the token is the text's first */
function put(
  places: IntList,
  word: string,
  at: number,
  from: number,
  to: number,
  trim: Placing["trim"],
  isFirst: boolean,
): void {
  let [begin, end] = [from, to];
  if (trim) {
    while (begin < to && word.charCodeAt(begin) === SPACE) begin++;
    const leading = begin - from;
    while (end > from && word.charCodeAt(end - 1) === SPACE) end--;
    if (leading > 0 && trim.keepsFirst && (isFirst || at + from === 0)) begin--;
    end = Math.max(end, begin);
  }
  places.push(at + begin);
  places.push(at + end);
}

/** Of each byte of a word: where its character begins and ends, in UTF-16 units. */
function unitsOf(word: string): { begins: number[]; ends: number[] } {
  const [begins, ends]: [number[], number[]] = [[], []];
  let at = 0;
  for (const character of word) {
    for (let i = Buffer.byteLength(character); i > 0; i--) {
      begins.push(at);
      ends.push(at + character.length);
    }
    at += character.length;
  }
  return { begins, ends };
}
