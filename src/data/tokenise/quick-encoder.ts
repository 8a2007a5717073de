// Texts to tokens: by the quick encoder where it is known to give the package's tokens, else by the package.
import { BpeEncoder } from "../bpe/encoder.js";
import type { BpePlan } from "../bpe/plan.js";
import {
  type EncodeOptions,
  type LearnedRow,
  type MaskedTokens,
  type PlacedTokens,
  reaching,
  type TextEncoder,
} from "./row-tokens.js";

/** Texts on which both encoders must agree before the quick one is used. */
export const COMPARED = 64;
/** Characters of each of them: a long text shows no more than a short one. */
const COMPARED_CHARACTERS = 4096;

export interface QuickPlan {
  bpe: BpePlan;
  /** tokenizer.json, for what the package has to do. */
  file: string;
  /** Side that truncation cuts. */
  side: "left" | "right";
}

export class QuickEncoder {
  readonly #bpe: BpeEncoder;
  readonly #plan: QuickPlan;
  #package: Promise<TextEncoder> | undefined;

  constructor(plan: QuickPlan) {
    this.#bpe = new BpeEncoder(plan.bpe);
    this.#plan = plan;
  }

  async encode(texts: string[], { maxLength, specialTokens = true }: EncodeOptions): Promise<Int32Array[]> {
    const isWhole = maxLength === undefined && !specialTokens;
    const encoded = texts.map((text) => {
      const ids = this.#bpe.encode(text, { maxLength, side: this.#plan.side, specialTokens });
      return ids ?? (isWhole ? (this.#bpe.encodePlaced(text)?.ids ?? null) : null);
    });
    const unknown = texts.filter((_, i) => encoded[i] === null);
    if (unknown.length > 0) {
      const rest = await (await this.#opened()).encode(unknown, { maxLength, specialTokens });
      for (const [i, ids] of encoded.entries()) encoded[i] = ids ?? rest.shift()!;
    }
    return encoded as Int32Array[];
  }

  async encodePlaced(texts: string[]): Promise<PlacedTokens[]> {
    const placed = texts.map((text) => this.#bpe.encodePlaced(text));
    const unknown = texts.filter((_, i) => placed[i] === null);
    const rest = unknown.length > 0 ? await (await this.#opened()).encodePlaced(unknown) : [];
    return placed.map((one) => one ?? rest.shift()!);
  }

  async encodeLearned(rows: readonly LearnedRow[]): Promise<MaskedTokens[]> {
    const tokens = rows.map(({ text, learned }) => this.#bpe.encodeLearned(text, learned));
    const unknown = rows.filter((_, i) => tokens[i] === null);
    const texts = unknown.map(({ text }) => text);
    const rest = unknown.length > 0 ? await (await this.#opened()).encodePlaced(texts) : [];
    const found = rest.map((placed, i) => reaching(placed, unknown[i]!.learned));
    return tokens.map((one) => one ?? found.shift()!);
  }

  /** Loaded when it is needed: few texts are not for the quick way, and most threads meet none. */
  #opened(): Promise<TextEncoder> {
    this.#package ??= import("../tokenizer.js").then(({ Tokenizer }) => Tokenizer.open(this.#plan.file));
    return this.#package;
  }

  /** Whether some texts come out as the package tokenises and places them. */
  async agrees(tokenizer: TextEncoder, texts: string[], options: EncodeOptions): Promise<boolean> {
    const some = texts.slice(0, COMPARED).map((text) => text.slice(0, COMPARED_CHARACTERS));
    const [quick, expected] = await Promise.all([this.encode(some, options), tokenizer.encode(some, options)]);
    const [placed, right] = await Promise.all([this.encodePlaced(some), tokenizer.encodePlaced(some)]);
    return (
      quick.every((ids, i) => isSame(ids, expected[i]!)) &&
      placed.every(({ ids, places }, i) => isSame(ids, right[i]!.ids) && isSame(places, right[i]!.places))
    );
  }
}

const bytes = (ids: Int32Array) => new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
const isSame = (a: Int32Array, b: Int32Array) => Buffer.compare(bytes(a), bytes(b)) === 0;
