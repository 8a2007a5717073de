import { mappedProblem, type Sequence } from "../../engine.js";
import { LowrankError } from "../../errors.js";
import type { Provenance } from "./arrow.js";
import type { Part } from "./part.js";
import { Residence } from "./residence.js";

/** The examples of some texts: views into one buffer, as a rule a mapped file. */
export class TokenTable {
  readonly provenance: Provenance;
  readonly #buffer: ArrayBuffer;
  readonly #residence: Residence;
  readonly #parts: Part[];
  /** Number of each part's first example, and of all examples. */
  readonly #starts: number[] = [0];

  constructor(buffer: ArrayBuffer, provenance: Provenance, parts: Part[]) {
    this.#buffer = buffer;
    this.#residence = new Residence(buffer);
    this.provenance = provenance;
    this.#parts = parts;
    for (const { rows } of parts) this.#starts.push(this.length + rows.length);
  }

  /** After reading: what was read of a file that somebody changed meanwhile may be anything. @throws LowrankError E_CACHE */
  check(): void {
    const problem = mappedProblem(this.#buffer);
    if (problem !== null) throw new LowrankError("E_CACHE", problem);
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
    const sequence = { inputIds: inputIds.subarray(begin, end), lossMask: lossMask.subarray(begin, end) };
    this.#residence.touch(sequence.inputIds);
    this.#residence.touch(sequence.lossMask);
    return sequence;
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
}
