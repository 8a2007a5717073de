import { LowrankError } from "../base/errors.js";
import type { Batch, ClassifierConfig, Sequence } from "../native/index.js";
import type { TokenTable } from "./cache/index.js";
import { packBestFit } from "./packing.js";
import type { TextEnd } from "./tokenise/end-token.js";

export interface BatchingOptions {
  /** Every sequence is padded to this number of tokens with `padId`. */
  padTo?: number;
  padId?: number;
  /**
   * Short examples share an item of at most this number of tokens. They stay apart: each is a sequence of its own.
   */
  packTo?: number;
  /** Texts are classified, not learned. */
  classified?: ClassifiedTexts;
}

/** The labels of classified texts. */
export interface ClassifiedTexts {
  classifier: ClassifierConfig;
  /** `width` numbers for each text of the table, in order. */
  labels: Float32Array;
  width: number;
}

export interface MicroBatch {
  batch: Batch;
  /** Tokens to be predicted; of classified texts, numbers of labels. */
  supervisedTokens: number;
  /** Tokens of the texts, padding not counted. */
  tokens: number;
}

/** Some examples of a table in items: an example each, or several where they are packed. */
export class TokenDataset {
  readonly #table: TokenTable;
  readonly #examples: Int32Array;
  /** Item i is `#examples[#starts[i]]` up to `#examples[#starts[i + 1]]`; null where each is one example. */
  readonly #starts: Int32Array | null = null;
  readonly #padding: Pick<Batch, "padTo" | "padId">;
  readonly #classified: ClassifiedTexts | undefined;

  /** @param examples their numbers in the table: of `learnable` ones */
  constructor(table: TokenTable, examples: Int32Array, { padTo, padId, packTo, classified }: BatchingOptions = {}) {
    this.#table = table;
    this.#examples = examples;
    this.#padding = padTo === undefined ? {} : { padTo, padId: padId ?? 0 };
    this.#classified = classified;
    if (packTo !== undefined) {
      const packed = packBestFit(examples, (example) => table.tokens(example), packTo);
      this.#examples = packed.values;
      this.#starts = packed.starts;
    }
  }

  /** Set where texts are classified. */
  get classifier(): ClassifierConfig | undefined {
    return this.#classified?.classifier;
  }

  /** An example as the engine takes it. */
  #sequence(example: number): Sequence {
    const { inputIds, lossMask } = this.#table.sequence(example);
    if (!this.#classified) return { inputIds, lossMask };
    const { labels, width } = this.#classified;
    const row = this.#table.row(example);
    // The mask is one more than the tokens' types.
    const tokenTypes = lossMask.map((mark) => mark - 1);
    return { inputIds, tokenTypes, labels: labels.subarray(row * width, (row + 1) * width) };
  }

  /** Number of items. */
  get length(): number {
    return this.#starts ? this.#starts.length - 1 : this.#examples.length;
  }

  /** Number of examples, packed or not. */
  get examples(): number {
    return this.#examples.length;
  }

  /** Totals of all examples. */
  get counts(): { texts: number; tokens: number } {
    const tokens = this.#examples.reduce((sum, example) => sum + this.#table.tokens(example), 0);
    return { texts: this.#examples.length, tokens };
  }

  /** Lengths of all examples in tokens, the smallest first. */
  get lengths(): Int32Array {
    return this.#examples.map((example) => this.#table.tokens(example)).sort();
  }

  /** Tokens that are learned, of all examples. */
  get learnedTokens(): number {
    return this.#examples.reduce((sum, example) => sum + this.#table.supervised(example), 0);
  }

  /** Examples of at least this length whose end is missing. @param end as a whole text has it */
  countCut(atLeast: number, end: TextEnd): number {
    let cut = 0;
    for (const example of this.#examples) {
      if (this.#table.tokens(example) < atLeast) continue;
      const { inputIds } = this.#table.sequence(example);
      if (inputIds[inputIds.length - 1 - end.after] !== end.id) cut++;
    }
    this.#table.check();
    return cut;
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

  /** Tokens of all items. */
  get allTokens(): number {
    return this.#examples.reduce((sum, example) => sum + this.#table.tokens(example), 0);
  }

  /** The number of items that its examples would make, each of at most `packTo` tokens. */
  packs(packTo: number): number {
    return new TokenDataset(this.#table, this.#examples, { packTo }).length;
  }

  /** First tokens of an item's first example. Of one that begins with context, as a conversation does, they end where it begins to be learned. */
  beginning(position: number, tokens: number): Int32Array {
    const { inputIds, lossMask } = this.#table.sequence(this.#item(position)[0]!);
    const context = lossMask.findIndex((isLearned) => isLearned !== 0);
    const beginning = inputIds.slice(0, context > 0 ? Math.min(context, tokens) : tokens);
    this.#table.check();
    return beginning;
  }

  /** The items at these positions as one ragged micro-batch. Its sequences are views: nothing is copied. */
  batch(positions: ArrayLike<number>): MicroBatch {
    const examples = Array.from(positions).flatMap((position) => [...this.#item(position)]);
    const sum = (of: (example: number) => number) => examples.reduce((total, example) => total + of(example), 0);
    const found = {
      batch: { sequences: examples.map((example) => this.#sequence(example)), ...this.#padding },
      supervisedTokens: this.#classified
        ? examples.length * this.#classified.width
        : sum((example) => this.#table.supervised(example)),
      tokens: sum((example) => this.#table.tokens(example)),
    };
    this.#table.check();
    return found;
  }
}
