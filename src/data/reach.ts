// Which tokens of a text are learned, by their places.

import type { Span } from "./render/renderer.js";

/** Places in a text, in order, beside the learned parts of it. */
export class Reach {
  readonly #parts: readonly Span[];
  #next = 0;

  constructor(parts: readonly Span[]) {
    this.#parts = parts;
  }

  /** Whether a token reaches into a part. A token of no width does where it stands within one. */
  of(begin: number, end: number): boolean {
    const part = this.#from(begin);
    return part !== undefined && end > part.start;
  }

  /** The same of every token of a word; undefined where the word lies over a part's border. */
  ofWord(begin: number, end: number): boolean | undefined {
    const part = this.#from(begin);
    if (part === undefined || end <= part.start) return false;
    // A token of white space may have no width and stand at the word's end.
    return begin >= part.start && end < part.end ? true : undefined;
  }

  /** The first part that does not end before a place. */
  #from(begin: number): Span | undefined {
    while (this.#next < this.#parts.length && begin >= this.#parts[this.#next]!.end) this.#next++;
    return this.#parts[this.#next];
  }
}
