// The tokens of words that were seen before. A word is looked up by its place in a text, so that no string is made of it.

/** What `find` returns where a word is not known. No token is so large. */
export const UNKNOWN = 2 ** 31 - 1;
/** Numbers of a slot: the word's hash, where its characters begin, how many they are, and its tokens. */
const SLOT = 4;
const EMPTY = 0;
/** Characters of the longest word that is remembered: longer ones hardly come again. */
const LONGEST = 256;
/** Slots of a table without words: a power of two. */
const FIRST_SLOTS = 1 << 12;

/** FNV-1a over UTF-16 units; never `EMPTY`. */
function hashOf(text: string, begin: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = begin; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return hash === EMPTY ? 1 : hash;
}

export class WordTable {
  readonly #most: number;
  #slots = new Int32Array(FIRST_SLOTS * SLOT);
  #characters = new Uint16Array(FIRST_SLOTS * 4);
  #characterCount = 0;
  #tokens = new Int32Array(FIRST_SLOTS);
  #tokenCount = 0;
  #words = 0;

  /** @param most words that are remembered; the table begins anew after them */
  constructor(most: number) {
    this.#most = most;
  }

  /** The token of a word; of a word of several, a negative number for `tokensOf`; `UNKNOWN`. */
  find(text: string, begin: number, end: number): number {
    const slots = this.#slots;
    const characters = this.#characters;
    const mask = slots.length / SLOT - 1;
    const hash = hashOf(text, begin, end);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = slot * SLOT;
      if (slots[at] === EMPTY) return UNKNOWN;
      if (slots[at] !== hash || slots[at + 2] !== end - begin) continue;
      const from = slots[at + 1]! - begin;
      let i = begin;
      while (i < end && characters[from + i] === text.charCodeAt(i)) i++;
      if (i === end) return slots[at + 3]!;
    }
  }

  /** @param found a negative number of `find` */
  tokensOf(found: number): Int32Array {
    const at = ~found;
    return this.#tokens.subarray(at + 1, at + 1 + this.#tokens[at]!);
  }

  /** Remembers a word that is not known, by its place in a text. */
  add(text: string, begin: number, end: number, tokens: Int32Array): void {
    const length = end - begin;
    if (length > LONGEST) return;
    if (this.#words >= this.#most) this.#clear();
    if (2 * (this.#words + 1) * SLOT > this.#slots.length) this.#grow();
    const from = this.#characterCount;
    this.#characters = withRoom(this.#characters, from + length);
    for (let i = 0; i < length; i++) this.#characters[from + i] = text.charCodeAt(begin + i);
    this.#characterCount += length;
    const hash = hashOf(text, begin, end);
    this.#put(hash, from, length, tokens.length === 1 ? tokens[0]! : this.#keep(tokens));
    this.#words++;
  }

  #keep(tokens: Int32Array): number {
    const at = this.#tokenCount;
    this.#tokens = withRoom(this.#tokens, at + 1 + tokens.length);
    this.#tokens[at] = tokens.length;
    this.#tokens.set(tokens, at + 1);
    this.#tokenCount += 1 + tokens.length;
    return ~at;
  }

  #put(hash: number, from: number, length: number, tokens: number): void {
    const slots = this.#slots;
    const mask = slots.length / SLOT - 1;
    let slot = hash & mask;
    while (slots[slot * SLOT] !== EMPTY) slot = (slot + 1) & mask;
    const at = slot * SLOT;
    slots[at] = hash;
    slots[at + 1] = from;
    slots[at + 2] = length;
    slots[at + 3] = tokens;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length);
    for (let at = 0; at < old.length; at += SLOT)
      if (old[at] !== EMPTY) this.#put(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
  }

  #clear(): void {
    this.#slots.fill(EMPTY);
    this.#characterCount = 0;
    this.#tokenCount = 0;
    this.#words = 0;
  }
}

/** The same numbers, in an array with room for so many. */
export function withRoom<T extends Int32Array | Uint16Array | Uint8Array>(numbers: T, length: number): T {
  if (length <= numbers.length) return numbers;
  const made = new (numbers.constructor as new (length: number) => T)(2 * length);
  made.set(numbers);
  return made;
}
