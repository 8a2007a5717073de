// The largest size of a text, so that no file takes more memory than some times this size.
import { LowrankError } from "../../base/errors.js";
import type { ReadOptions } from "./format.js";

/** 64 MiB: above any text that is one example, and so little that a reader needs less than a gigabyte (docs/data.md). */
export const MOST_TEXT_BYTES = 64 << 20;

export function mostBytes(options: ReadOptions): number {
  return options.mostBytes ?? MOST_TEXT_BYTES;
}

/** @param what the text that is too long, such as "a line" @param advice how to go on */
export function tooLong(place: string, what: string, most: number, file: string, advice = ""): LowrankError {
  const size = most >= 1 << 20 ? `${most / (1 << 20)} MiB` : `${most} bytes`;
  return new LowrankError(
    "E_TEXT_SIZE",
    `${place}: ${what} is longer than ${size}, the most a text may be.${advice}`,
    file,
  );
}

/** Pieces of something that goes on in the next chunk of the file. */
export class Pieces {
  readonly #most: number;
  readonly #problem: () => LowrankError;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** @param problem the error if they are together longer than `most` bytes */
  constructor(most: number, problem: () => LowrankError) {
    this.#most = most;
    this.#problem = problem;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  add(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > this.#most) throw this.#problem();
    this.#pieces.push(piece);
  }

  /** All, with a last one; then there are none. */
  take(last: Buffer): Buffer {
    if (this.#bytes + last.length > this.#most) throw this.#problem();
    if (this.isEmpty) return last;
    const whole = Buffer.concat([...this.#pieces, last]);
    this.#pieces = [];
    this.#bytes = 0;
    return whole;
  }
}
