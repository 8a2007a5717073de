import type { Batch, Sequence } from "../engine.js";
import { LowrankError } from "../errors.js";
import type { TokenTable } from "./cache/index.js";
import { packBestFit } from "./packing.js";

export interface DatasetOptions {
  /** Every sequence is padded to so many tokens with `padId`. */
  padTo?: number;
  padId?: number;
  /** Short examples share an item of at most so many tokens. They stay apart: each is a sequence of its own. */
  packTo?: number;
}

export interface MicroBatch {
  /** Null where every example was skipped. */
  batch: Batch | null;
  /** Tokens to be predicted. */
  supervisedTokens: number;
  /** Tokens of the texts, padding not counted. */
  tokens: number;
  /** Numbers of the examples' texts, skipped ones among them. */
  rows: number[];
  /** How many examples are shorter than two tokens: they predict nothing, and the batch holds no sequence of them. */
  skipped: number;
}

/** Some examples of a table in items: an example each, or several where they are packed. */
export class TokenDataset {
  readonly #table: TokenTable;
  readonly #examples: Int32Array;
  /** Item i is `#examples[#starts[i]]` up to `#examples[#starts[i + 1]]`; null where each is one example. */
  readonly #starts: Int32Array | null = null;
  readonly #padding: Pick<Batch, "padTo" | "padId">;

  /** @param examples their numbers in the table */
  constructor(table: TokenTable, examples: Int32Array, { padTo, padId, packTo }: DatasetOptions = {}) {
    this.#table = table;
    this.#examples = examples;
    this.#padding = padTo === undefined ? {} : { padTo, padId: padId ?? 0 };
    if (packTo !== undefined) {
      const packed = packBestFit(examples, (example) => table.tokens(example), packTo);
      this.#examples = packed.values;
      this.#starts = packed.starts;
    }
  }

  /** Number of items. */
  get length(): number {
    return this.#starts ? this.#starts.length - 1 : this.#examples.length;
  }

  /** Number of examples, packed or not. */
  get examples(): number {
    return this.#examples.length;
  }

  /** Numbers of an item's examples in the table. */
  #item(position: number): Int32Array {
    if (!(position >= 0 && position < this.length)) {
      throw new LowrankError("E_ARGUMENT", `No position ${position} in ${this.length} items.`);
    }
    const [begin, end] = this.#starts
      ? [this.#starts[position]!, this.#starts[position + 1]!]
      : [position, position + 1];
    return this.#examples.subarray(begin, end);
  }

  /** Tokens of an item. */
  tokens(position: number): number {
    return this.#item(position).reduce((sum, example) => sum + this.#table.tokens(example), 0);
  }

  /** First tokens of an item's first example. */
  beginning(position: number, tokens: number): Int32Array {
    const beginning = this.#table.sequence(this.#item(position)[0]!).inputIds.slice(0, tokens);
    this.#table.check();
    return beginning;
  }

  /** The items at these positions as one ragged micro-batch. Its sequences are views: nothing is copied. */
  batch(positions: ArrayLike<number>): MicroBatch {
    const sequences: Sequence[] = [];
    const rows: number[] = [];
    let [supervisedTokens, tokens] = [0, 0];
    for (const position of Array.from(positions)) {
      for (const example of this.#item(position)) {
        rows.push(this.#table.row(example));
        const sequence = this.#table.sequence(example);
        const { length } = sequence.inputIds;
        if (length < 2) continue;
        sequences.push(sequence);
        tokens += length;
        for (let i = 1; i < length; i++) supervisedTokens += Number(sequence.lossMask[i] !== 0);
      }
    }
    this.#table.check();
    const batch = sequences.length === 0 ? null : { sequences, ...this.#padding };
    return { batch, supervisedTokens, tokens, rows, skipped: rows.length - sequences.length };
  }
}
