// Texts to tokens: by the quick encoder where it is known to give the package's tokens, else by the package.
import { dirname } from "node:path";
import { LARGEST_LIST_BYTES } from "../../base/system-errors.js";
import { readAddedTokens } from "../added-tokens.js";
import { BpeEncoder, type BpePlan, planBpe } from "../bpe/index.js";
import { readTokenizerJson } from "../made-files.js";
import { readTokenizerSettings } from "../special-tokens.js";
import { Tokenizer } from "../tokenizer.js";
import { type EncodeOptions, type LearnedRow, type MaskedTokens, type PlacedTokens, reaching } from "./row-tokens.js";

/** Texts on which both encoders must agree before the quick one is used. */
export const COMPARED = 64;
/** Characters of each of them: a long text shows no more than a short one. */
const COMPARED_CHARACTERS = 4096;

/** How a tokenizer.json is done the quick way; null where it is for the package alone. */
export function quickPlan(file: string): BpePlan | null {
  return planBpe(readTokenizerJson(file, LARGEST_LIST_BYTES), readAddedTokens(file).contents);
}

export class QuickEncoder {
  readonly #bpe: BpeEncoder;
  readonly #file: string;
  readonly #side: "left" | "right";
  #package: Promise<Tokenizer> | undefined;

  /** @param file tokenizer.json */
  constructor(plan: BpePlan, file: string) {
    this.#bpe = new BpeEncoder(plan);
    this.#file = file;
    this.#side = readTokenizerSettings(dirname(file)).truncationSide;
  }

  async encode(texts: string[], { maxLength, specialTokens = true }: EncodeOptions): Promise<Int32Array[]> {
    const isWhole = maxLength === undefined && !specialTokens;
    const encoded = texts.map((text) => {
      const ids = this.#bpe.encode(text, { maxLength, side: this.#side, specialTokens });
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

  #opened(): Promise<Tokenizer> {
    this.#package ??= Tokenizer.open(this.#file);
    return this.#package;
  }

  /** Whether some texts come out as the package tokenises and places them. */
  async agrees(tokenizer: Tokenizer, texts: string[], options: EncodeOptions): Promise<boolean> {
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
