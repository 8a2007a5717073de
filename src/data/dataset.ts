import type { Batch } from "../engine.js";
import { LowrankError } from "../errors.js";
import type { TextRows } from "./texts.js";
import type { Tokenizer } from "./tokenizer.js";

/** Target of a token at which nothing is learned. */
const IGNORE = -100;

export interface DatasetOptions {
  /** Longer texts are cut to so many tokens. */
  maxLength: number;
  /** Every sequence is padded to so many tokens; at least `maxLength`. */
  padTo?: number;
}

export interface MicroBatch {
  /** Null where every row was skipped. */
  batch: Batch | null;
  /** Tokens to be predicted. */
  supervisedTokens: number;
  /** Tokens of the texts, padding not counted. */
  tokens: number;
  /** Rows of the texts asked for, skipped ones among them. */
  rows: number[];
  /** How many of them are shorter than two tokens: they predict nothing, and the batch holds no sequence of them. */
  skipped: number;
}

/** Some rows of the texts, tokenised when they are asked for. */
export class TextDataset {
  readonly #rows: TextRows;
  readonly #indices: Int32Array;
  readonly #tokenizer: Tokenizer;
  readonly #maxLength: number;
  readonly #padTo: number;

  /** @param indices rows of the data set, by position */
  constructor(rows: TextRows, indices: Int32Array, tokenizer: Tokenizer, options: DatasetOptions) {
    this.#rows = rows;
    this.#indices = indices;
    this.#tokenizer = tokenizer;
    this.#maxLength = options.maxLength;
    this.#padTo = options.padTo ?? 0;
    if (options.padTo !== undefined && options.padTo < options.maxLength) {
      throw new LowrankError(
        "E_ARGUMENT",
        `padTo is ${options.padTo}, expected at least maxLength, ${options.maxLength}.`,
      );
    }
  }

  get length(): number {
    return this.#indices.length;
  }

  /** Row of the texts at a position. */
  #row(position: number): number {
    const row = this.#indices[position];
    if (row === undefined) throw new LowrankError("E_ARGUMENT", `No position ${position} in ${this.length} rows.`);
    return row;
  }

  /** The rows at these positions as one ragged micro-batch. */
  async batch(positions: ArrayLike<number>): Promise<MicroBatch> {
    const rows = Array.from(positions, (position) => this.#row(position));
    const texts = rows.map((row) => this.#rows.text(row));
    const encoded = await this.#tokenizer.encode(texts, { maxLength: this.#maxLength });
    const sequences = encoded.filter((ids) => ids.length >= 2);
    const skipped = rows.length - sequences.length;
    if (sequences.length === 0) return { batch: null, supervisedTokens: 0, tokens: 0, rows, skipped };
    const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
    return { batch: this.#join(sequences), supervisedTokens: tokens - sequences.length, tokens, rows, skipped };
  }

  /**
   * Sequences one after the other. The target of a token is the next one of its sequence, by position: an end-of-text
   * token is learned even where padding uses the same id.
   */
  #join(sequences: Int32Array[]): Batch {
    const lengths = sequences.map((ids) => Math.max(ids.length, this.#padTo));
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const inputIds = new Int32Array(total).fill(this.#tokenizer.padTokenId ?? this.#tokenizer.eosTokenId ?? 0);
    const targets = new Int32Array(total).fill(IGNORE);
    const offsets = new Int32Array(sequences.length + 1);
    let at = 0;
    for (const [s, ids] of sequences.entries()) {
      inputIds.set(ids, at);
      targets.set(ids.subarray(1), at);
      at += lengths[s]!;
      offsets[s + 1] = at;
    }
    return { inputIds, targets, offsets };
  }
}
