import { LowrankError } from "../../base/errors.js";
import { mappedProblem, type Sequence } from "../../native/index.js";
import type { Block } from "../tokenise/block.js";
import type { Content, Contents, Provenance } from "./contents.js";
import { ResidentPages } from "./resident-pages.js";

/** The examples of some texts: views into one buffer, as a rule a mapped file. */
export class TokenTable {
  readonly provenance: Provenance;
  readonly content: Content;
  readonly #buffer: ArrayBuffer;
  readonly #pages: ResidentPages;
  readonly #blocks: Block[];
  /** Number of each block's first example, and of all examples. */
  readonly #starts: number[] = [0];

  constructor(buffer: ArrayBuffer, { provenance, content, blocks }: Contents) {
    this.#buffer = buffer;
    this.#pages = new ResidentPages(buffer);
    this.provenance = provenance;
    this.content = content;
    this.#blocks = blocks;
    for (const { rows } of blocks) this.#starts.push(this.length + rows.length);
  }

  /** Called after reading: bytes of a file that somebody changed meanwhile may be anything. @throws LowrankError E_CACHE */
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
  sequence(example: number): Required<Pick<Sequence, "inputIds" | "lossMask">> {
    const { block, at } = this.#find(example);
    const { inputIds, lossMask, offsets } = block;
    const [begin, end] = [offsets[at], offsets[at + 1]];
    const sequence = { inputIds: inputIds.subarray(begin, end), lossMask: lossMask.subarray(begin, end) };
    this.#pages.touch(sequence.inputIds);
    this.#pages.touch(sequence.lossMask);
    return sequence;
  }

  /** Tokens of an example. */
  tokens(example: number): number {
    const { block, at } = this.#find(example);
    return block.offsets[at + 1]! - block.offsets[at]!;
  }

  /** Tokens of an example that are learned. */
  supervised(example: number): number {
    const { block, at } = this.#find(example);
    return block.supervised[at]!;
  }

  /** Number of an example's text. */
  row(example: number): number {
    const { block, at } = this.#find(example);
    return block.rows[at]!;
  }

  /** Numbers of the examples that have something to learn, in order. */
  learnable(): Int32Array {
    const found: number[] = [];
    for (let example = 0; example < this.length; example++) if (this.supervised(example) > 0) found.push(example);
    return Int32Array.from(found);
  }

  /** First example with a token of at least this number, -1 where there is none. */
  findToken(atLeast: number): number {
    if (this.content.largestId < atLeast) return -1;
    for (let example = 0; example < this.length; example++) {
      if (this.sequence(example).inputIds.some((id) => id >= atLeast)) return example;
    }
    return -1;
  }

  /** How many tokens are of at least this number. */
  countTokens(atLeast: number): number {
    if (this.content.largestId < atLeast) return 0;
    let count = 0;
    for (let example = 0; example < this.length; example++) {
      for (const id of this.sequence(example).inputIds) if (id >= atLeast) count++;
    }
    return count;
  }

  #find(example: number): { block: Block; at: number } {
    if (!(example >= 0 && example < this.length && Number.isInteger(example))) {
      throw new LowrankError("E_ARGUMENT", `There is no example ${example} among ${this.length}.`);
    }
    let [low, high] = [0, this.#blocks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= example) low = middle;
      else high = middle - 1;
    }
    return { block: this.#blocks[low]!, at: example - this.#starts[low]! };
  }
}
