import { releasePages, type Sequence } from "../../engine.js";
import { LowrankError } from "../../errors.js";
import type { Provenance } from "./arrow.js";
import type { Part } from "./part.js";

/** Mapped memory that may be resident before it is given back. */
const RESIDENT_BYTES = 64 << 20;
/** The least that a first look into a mapped file makes resident: the system maps neighbouring pages with it. */
const FAULT_BYTES = 64 << 10;

/** The examples of some texts: views into one buffer, as a rule a mapped file. */
export class TokenTable {
  readonly provenance: Provenance;
  readonly #buffer: ArrayBuffer;
  readonly #parts: Part[];
  /** Number of each part's first example, and of all examples. */
  readonly #starts: number[] = [0];
  #touched = 0;

  constructor(buffer: ArrayBuffer, provenance: Provenance, parts: Part[]) {
    this.#buffer = buffer;
    this.provenance = provenance;
    this.#parts = parts;
    for (const { rows } of parts) this.#starts.push(this.length + rows.length);
  }

  /** Number of examples. */
  get length(): number {
    return this.#starts.at(-1)!;
  }

  /** Number of texts, each of at least one example. */
  get texts(): number {
    return this.length === 0 ? 0 : this.row(this.length - 1) + 1;
  }

  /** Views of an example's tokens and loss mask; nothing is copied. */
  sequence(example: number): Required<Sequence> {
    const { part, at } = this.#find(example);
    const { inputIds, lossMask, offsets } = part;
    const [begin, end] = [offsets[at], offsets[at + 1]];
    this.#touch((end! - begin!) * 5);
    return { inputIds: inputIds.subarray(begin, end), lossMask: lossMask.subarray(begin, end) };
  }

  /** Tokens of an example. */
  tokens(example: number): number {
    const { part, at } = this.#find(example);
    return part.offsets[at + 1]! - part.offsets[at]!;
  }

  /** Number of an example's text. */
  row(example: number): number {
    const { part, at } = this.#find(example);
    return part.rows[at]!;
  }

  #find(example: number): { part: Part; at: number } {
    if (!(example >= 0 && example < this.length && Number.isInteger(example))) {
      throw new LowrankError("E_ARGUMENT", `There is no example ${example} among ${this.length}.`);
    }
    let [low, high] = [0, this.#parts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= example) low = middle;
      else high = middle - 1;
    }
    return { part: this.#parts[low]!, at: example - this.#starts[low]! };
  }

  /** Keeps what is resident of the file small: an epoch in random order would touch all of it. */
  #touch(bytes: number): void {
    this.#touched += Math.max(bytes, FAULT_BYTES);
    if (this.#touched < RESIDENT_BYTES) return;
    this.#touched = 0;
    releasePages(this.#buffer);
  }
}
