// Byte-pair encoding of one word: Sennrich, Haddow and Birch (2016), over bytes as in GPT-2.
import { MinHeap } from "./heap.js";
import type { IntList } from "./int-list.js";

/** More than any word's length. */
const PLACE = 2 ** 31;
const GONE = -1;
/** Bytes of the longest word without a heap. */
const SHORT = 48;
/** Rank of a pair that is not merged. */
const NEVER = 2 ** 31 - 1;
/** Numbers of a table's slot: left and right token of a pair, its rank, the token that it becomes. */
const SLOT = 4;
const EMPTY = -1;

/** The merges of a vocabulary in memory that threads can share. */
export interface MergeTable {
  /** Token of each of the 256 bytes, -1 where there is none. */
  bytes: Int32Array;
  /** A hash table with open addressing, `SLOT` numbers a slot; a power of two of them. */
  slots: Int32Array;
}

const shared = (length: number) => new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT));

/** Where a pair's slot is looked for first: Knuth's multiplicative hash of both. */
function home(left: number, right: number, mask: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) & mask;
}

/** @param triples left, right and resulting token of each merge, in the order of their ranks; negative ones for a merge that never is */
export function mergeTable(bytes: Int32Array, triples: IntList): MergeTable {
  const count = triples.length / 3;
  const size = 2 ** Math.ceil(Math.log2(2 * count + 2));
  const table = { bytes: shared(bytes.length), slots: shared(size * SLOT).fill(EMPTY) };
  table.bytes.set(bytes);
  const { slots } = table;
  for (let rank = 0; rank < count; rank++) {
    const [left, right] = [triples.at(3 * rank), triples.at(3 * rank + 1)];
    if (left < 0) continue;
    let slot = home(left, right, size - 1);
    while (slots[slot * SLOT] !== EMPTY) slot = (slot + 1) & (size - 1);
    const at = slot * SLOT;
    slots[at] = left;
    slots[at + 1] = right;
    slots[at + 2] = rank;
    slots[at + 3] = triples.at(3 * rank + 2);
  }
  return table;
}

export class Merges {
  readonly #bytes: Int32Array;
  readonly #slots: Int32Array;
  readonly #mask: number;
  // Of a short word: its symbols side by side, and of each with the next one the merge's rank and result.
  readonly #shortIds = new Int32Array(SHORT + 1);
  readonly #ranks = new Int32Array(SHORT + 1);
  readonly #results = new Int32Array(SHORT + 1);
  readonly #heap = new MinHeap();
  // The symbols that are left of a long word; each lives at the place of its first byte.
  #ids = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);

  constructor({ bytes, slots }: MergeTable) {
    this.#bytes = bytes;
    this.#slots = slots;
    this.#mask = slots.length / SLOT - 1;
  }

  /**
   * Tokens of a word: of all pairs side by side the one of the lowest rank is merged, the leftmost of several, and again.
   * @param word bytes, of which the first `length` count
   * @returns null where a byte has no token
   */
  encode(word: Uint8Array, length: number): Int32Array | null {
    return length <= SHORT ? this.#encodeShort(word, length) : this.#encodeLong(word, length);
  }

  /** Looks through all pairs for each merge: most words have few. */
  #encodeShort(word: Uint8Array, length: number): Int32Array | null {
    const ids = this.#shortIds;
    const ranks = this.#ranks;
    const results = this.#results;
    for (let i = 0; i < length; i++) {
      ids[i] = this.#bytes[word[i]!]!;
      if (ids[i] === -1) return null;
    }
    for (let i = 0; i + 1 < length; i++) this.#rank(i);
    let left = length;
    for (;;) {
      let least = NEVER;
      let best = 0;
      for (let i = 0; i + 1 < left; i++)
        if (ranks[i]! < least) {
          least = ranks[i]!;
          best = i;
        }
      if (least === NEVER) return ids.slice(0, left);
      ids[best] = results[best]!;
      left--;
      for (let i = best + 1; i < left; i++) {
        ids[i] = ids[i + 1]!;
        ranks[i] = ranks[i + 1]!;
        results[i] = results[i + 1]!;
      }
      if (best + 1 < left) this.#rank(best);
      if (best > 0) this.#rank(best - 1);
    }
  }

  /** Finds the merge of a short word's pair. */
  #rank(at: number): void {
    const slot = this.#find(this.#shortIds[at]!, this.#shortIds[at + 1]!);
    this.#ranks[at] = slot < 0 ? NEVER : this.#slots[slot + 2]!;
    this.#results[at] = slot < 0 ? GONE : this.#slots[slot + 3]!;
  }

  #encodeLong(word: Uint8Array, length: number): Int32Array | null {
    if (length > this.#ids.length) this.#reserve(length);
    const ids = this.#ids;
    const next = this.#next;
    const previous = this.#previous;
    for (let i = 0; i < length; i++) {
      ids[i] = this.#bytes[word[i]!]!;
      if (ids[i] === -1) return null;
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i + 1 < length; i++) this.#consider(i, length);
    let left = length;
    for (let top = this.#heap.pop(); top !== undefined; top = this.#heap.pop()) {
      const at = top % PLACE;
      const right = next[at]!;
      if (ids[at] === GONE || right >= length) continue;
      const slot = this.#find(ids[at]!, ids[right]!);
      // An entry of the past: one of its two symbols has become part of another.
      if (slot < 0 || this.#slots[slot + 2] !== Math.floor(top / PLACE)) continue;
      ids[at] = this.#slots[slot + 3]!;
      ids[right] = GONE;
      left--;
      const after = next[right]!;
      next[at] = after;
      if (after < length) previous[after] = at;
      this.#consider(at, length);
      if (previous[at]! >= 0) this.#consider(previous[at]!, length);
    }
    const tokens = new Int32Array(left);
    for (let i = 0, at = 0; i < left; i++, at = next[at]!) tokens[i] = ids[at]!;
    return tokens;
  }

  #consider(at: number, length: number): void {
    const right = this.#next[at]!;
    if (right >= length) return;
    const slot = this.#find(this.#ids[at]!, this.#ids[right]!);
    if (slot >= 0) this.#heap.push(this.#slots[slot + 2]! * PLACE + at);
  }

  /** Where a pair's numbers begin, or -1. */
  #find(left: number, right: number): number {
    const slots = this.#slots;
    for (let slot = home(left, right, this.#mask); ; slot = (slot + 1) & this.#mask) {
      const at = slot * SLOT;
      if (slots[at] === EMPTY) return -1;
      if (slots[at] === left && slots[at + 1] === right) return at;
    }
  }

  #reserve(length: number): void {
    this.#ids = new Int32Array(2 * length);
    this.#next = new Int32Array(2 * length);
    this.#previous = new Int32Array(2 * length);
  }
}
