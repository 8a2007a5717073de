// Rendered rows to tokens and loss masks.
//
// A prompt's tokens are the tokens at the beginning that the prompt, tokenised alone, shares with the whole row. A token over the
// border therefore belongs to the completion. TRL's SFTTrainer (1.16) masks prompts in this way: "The capi" and "tal" become "The",
// " capital", and " capital" is learned. Every token that reaches into a learned part is learned, as in transformers'
// `return_assistant_tokens_mask`.
import { Reach } from "../reach.js";
import type { RenderedRow, Span } from "../render/renderer.js";
import { endRow, endText, type SpecialTokens, type TextEnd } from "./end-token.js";

export interface EncodeOptions {
  /** Tokens that a text is cut to; undefined does not cut. */
  maxLength: number | undefined;
  /** Whether the tokenizer's special tokens are added. Default true. */
  specialTokens?: boolean;
}

/** Tokens, and the part of the text that each stands for, in UTF-16 units. */
export interface PlacedTokens {
  ids: Int32Array;
  /** Begin and end of each token, one after the other. */
  places: Int32Array;
}

export interface TextEncoder {
  encode(texts: string[], options: EncodeOptions): Promise<Int32Array[]>;
  /** Whole texts, without special tokens. */
  encodePlaced(texts: string[]): Promise<PlacedTokens[]>;
  /** Whole texts, without special tokens, and which of their tokens are learned. Not every encoder can sooner than by the places. */
  encodeLearned?(rows: readonly LearnedRow[]): Promise<MaskedTokens[]>;
  /** Texts and pairs of texts with their special tokens. Not every encoder can. */
  encodeTyped?(rows: readonly RenderedRow[], options: TypedOptions): Promise<TypedTokens[]>;
}

export interface TypedOptions {
  maxLength: number;
  /** Undefined: the tokenizer's own. */
  side: "left" | "right" | undefined;
}

/** Tokens, and for each 0, or 1 in the second text of a pair, as the tokenizer says. */
export interface TypedTokens {
  ids: Int32Array;
  types: Uint8Array;
}

/** The tokens of a row. */
export interface RowTokens {
  ids: Int32Array;
  /** Of each token: 1 where it is learned. Null where all are. */
  mask: Uint8Array | null;
}

export type MaskedTokens = RowTokens & { mask: Uint8Array };

/** A row of which parts are learned. */
export type LearnedRow = RenderedRow & { learned: readonly Span[] };

export interface RowOptions {
  /** Tokens that a row is cut to; undefined does not cut. */
  maxLength: number | undefined;
  /** Null where rows are tokenised as they are. */
  end: TextEnd | null;
  special: SpecialTokens;
}

const NO_TOKENS: RowTokens = { ids: new Int32Array(0), mask: null };

const isBlank = ({ text }: RenderedRow) => !/\S/.test(text);

/** Whether the tokenizer alone makes the row's tokens, and all of them are learned. */
const isPlain = ({ learned, prompt, isWhole }: RenderedRow) =>
  learned === undefined && prompt === undefined && !isWhole;

/** Number of tokens at the beginning that two texts have in common. */
function shared(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** Tokens with 1 for each that reaches into a learned part. */
export function reaching({ ids, places }: PlacedTokens, parts: readonly Span[]): MaskedTokens {
  const reach = new Reach(parts);
  return { ids, mask: Uint8Array.from(ids, (_, i) => Number(reach.of(places[2 * i]!, places[2 * i + 1]!))) };
}

/** Rows with learned parts to tokens. */
async function learnedTokens(encoder: TextEncoder, rows: LearnedRow[]): Promise<MaskedTokens[]> {
  if (encoder.encodeLearned) return encoder.encodeLearned(rows);
  const placed = await encoder.encodePlaced(rows.map((row) => row.text));
  return placed.map((tokens, i) => reaching(tokens, rows[i]!.learned));
}

/** The rows that a test finds, and an encoder's result for each; undefined for the others. */
async function encoded<T>(
  rows: readonly RenderedRow[],
  test: (row: RenderedRow) => boolean,
  encode: (rows: RenderedRow[]) => Promise<T[]>,
): Promise<(T | undefined)[]> {
  const found = rows.filter(test);
  const made = found.length === 0 ? [] : await encode(found);
  let next = 0;
  return rows.map((row) => (test(row) ? made[next++] : undefined));
}

/** Rows with a mask to tokens. No row is cut. */
async function maskedTokens(encoder: TextEncoder, rows: readonly RenderedRow[]): Promise<MaskedTokens[]> {
  const ids = (isWhole: boolean, textOf: (row: RenderedRow) => string | undefined) =>
    encoded(
      rows,
      (row) => (row.isWhole ?? false) === isWhole && textOf(row) !== undefined,
      (some) =>
        encoder.encode(
          some.map((row) => textOf(row)!),
          { maxLength: undefined, specialTokens: !isWhole },
        ),
    );
  const text = (row: RenderedRow) => (row.learned === undefined ? row.text : undefined);
  const prompt = (row: RenderedRow) => row.prompt;
  const learned = await encoded(
    rows,
    (row) => row.learned !== undefined,
    (some) => learnedTokens(encoder, some as LearnedRow[]),
  );
  const [framed, whole] = [await ids(false, text), await ids(true, text)];
  const [framedPrompts, wholePrompts] = [await ids(false, prompt), await ids(true, prompt)];
  return rows.map((_, i) => {
    const own = learned[i]?.ids ?? framed[i] ?? whole[i]!;
    const mask = learned[i]?.mask ?? new Uint8Array(own.length).fill(1);
    const context = framedPrompts[i] ?? wholePrompts[i];
    if (context) mask.fill(0, 0, shared(context, own));
    return { ids: own, mask };
  });
}

/** A row of at most `maxLength` tokens: the special tokens stay, the tokens between them are cut. */
function cut({ ids, mask }: MaskedTokens, maxLength: number, { before, after, side }: SpecialTokens): MaskedTokens {
  if (ids.length <= maxLength) return { ids, mask };
  const room = Math.max(0, maxLength - before - after);
  const begin = side === "right" ? before : ids.length - after - room;
  const kept = <T extends Int32Array | Uint8Array>(of: T, into: T): T => {
    into.set(of.subarray(0, before));
    into.set(of.subarray(begin, begin + room), before);
    into.set(of.subarray(of.length - after), before + room);
    return into;
  };
  const length = before + room + after;
  return { ids: kept(ids, new Int32Array(length)), mask: kept(mask, new Uint8Array(length)) };
}

/** Rows to tokens. A blank row, of white space alone, has none. */
export async function tokeniseRows(
  encoder: TextEncoder,
  rows: readonly RenderedRow[],
  { maxLength, end, special }: RowOptions,
): Promise<RowTokens[]> {
  const plain = await encoded(rows, isPlain, (some) =>
    encoder.encode(
      some.map(({ text }) => text),
      { maxLength },
    ),
  );
  const others = await encoded(
    rows,
    (row) => !isPlain(row),
    (some) => maskedTokens(encoder, some),
  );
  return rows.map((row, i) => {
    if (isBlank(row)) return NO_TOKENS;
    const ids = plain[i];
    if (ids !== undefined)
      return { ids: end ? endText(ids, end, maxLength ?? Number.POSITIVE_INFINITY) : ids, mask: null };
    // Special tokens of a whole row are part of its text.
    const added = row.isWhole ? { ...special, before: 0, after: 0 } : special;
    const tokens = end === null || row.isWhole ? others[i]! : endRow(others[i]!, end.id, added);
    return maxLength === undefined ? tokens : cut(tokens, maxLength, added);
  });
}
