// Rows to examples, a block at a time: in a worker thread or here.
import { setImmediate } from "node:timers/promises";
import { readExactJson } from "../../base/exact-json.js";
import { type RenderedRow, type Renderer, RowProblem } from "../render/index.js";
import type { SpecialTokens, TextEnd } from "./end-token.js";
import { type RowTokens, type TextEncoder, type TypedOptions, tokeniseRows } from "./row-tokens.js";

/** How a text of more than `maxLength` tokens is treated: it is cut, or becomes several examples. */
export type LongText = "truncate" | "chunk";

export interface TokeniseOptions {
  maxLength: number;
  longText: LongText;
  /** Null where texts are tokenised as they are. */
  end: TextEnd | null;
  special: SpecialTokens;
}

/** Some rows: the values of each column. Columns of values hold them as JSON (`exactJson`). */
export type Columns = readonly (readonly string[])[];

/** Some examples, one after the other: a record batch of a cache file, or a future one. */
export interface Block {
  inputIds: Int32Array;
  /** For each token: not 0 where it is to be learned. Of texts that are classified, one more than the token's type. */
  lossMask: Uint8Array;
  /** Where each example begins, and the end of the last. */
  offsets: Int32Array;
  /**
   * For each example: the number of its learned tokens. Nothing comes before an example's first token, which therefore
   * is never learned.
   */
  supervised: Int32Array;
  /** Number of each example's text among all, from 0. */
  rows: Uint32Array;
}

/** Each in the same order, whoever made the object. */
export const columnsOf = ({ inputIds, lossMask, offsets, supervised, rows }: Block) =>
  [inputIds, lossMask, offsets, supervised, rows] as const;

/** Whether every example lies within its block. */
export function isSound({ inputIds, lossMask, offsets, supervised, rows }: Block): boolean {
  if (offsets[0] !== 0 || offsets.length !== rows.length + 1 || supervised.length !== rows.length) return false;
  if (inputIds.length !== offsets.at(-1) || lossMask.length !== inputIds.length) return false;
  for (let i = 1; i < offsets.length; i++) if (offsets[i]! < offsets[i - 1]!) return false;
  return true;
}

/**
 * Lengths of the examples that a text of `tokens` tokens becomes. No example is a single token, from which nothing could be
 * learned.
 */
export function chunkLengths(tokens: number, maxLength: number): number[] {
  if (tokens <= maxLength) return [tokens];
  const lengths: number[] = [];
  for (let left = tokens; left > 0; ) {
    let take = Math.min(left, maxLength);
    if (left - take === 1 && take > 2) take--;
    lengths.push(take);
    left -= take;
  }
  return lengths;
}

/** Numbers of learned tokens of examples. */
function countSupervised(mask: Uint8Array, offsets: Int32Array): Int32Array {
  const supervised = new Int32Array(offsets.length - 1);
  for (let example = 0; example < supervised.length; example++) {
    const end = offsets[example + 1]!;
    for (let i = offsets[example]! + 1; i < end; i++) if (mask[i] !== 0) supervised[example]!++;
  }
  return supervised;
}

/** Milliseconds of rendering after which others of the thread have their turn. */
const TURN_MS = 4;

/** @throws RowProblem with the row's number */
export async function renderRows(renderer: Renderer, columns: Columns, firstRow: number): Promise<RenderedRow[]> {
  const rows: RenderedRow[] = [];
  let begin = performance.now();
  for (let i = 0; i < columns[0]!.length; i++) {
    try {
      const values = columns.map((column, c) =>
        renderer.columns[c]!.holds === "texts" ? column[i]! : readExactJson(column[i]!),
      );
      rows.push(renderer.render(values));
    } catch (error) {
      if (error instanceof RowProblem) error.row = firstRow + i;
      throw error;
    }
    if (performance.now() - begin < TURN_MS) continue;
    await setImmediate();
    begin = performance.now();
  }
  return rows;
}

async function classifiedRows(encoder: TextEncoder, rows: RenderedRow[], options: TypedOptions): Promise<RowTokens[]> {
  const found = await encoder.encodeTyped!(rows, options);
  return found.map(({ ids, types }) => ({ ids, mask: types.map((type) => type + 1) }));
}

/**
 * @param firstRow number of the first row among all
 * @throws RowProblem
 */
export async function tokeniseBlock(
  encoder: TextEncoder,
  renderer: Renderer,
  columns: Columns,
  firstRow: number,
  { maxLength, longText, end, special }: TokeniseOptions,
): Promise<Block> {
  const chunks = longText === "chunk";
  const rendered = await renderRows(renderer, columns, firstRow);
  const tokens = renderer.classified
    ? await classifiedRows(encoder, rendered, { maxLength, ...renderer.classified })
    : await tokeniseRows(encoder, rendered, { maxLength: chunks ? undefined : maxLength, end, special });
  const length = tokens.reduce((sum, { ids }) => sum + ids.length, 0);
  const inputIds = new Int32Array(length);
  const lossMask = new Uint8Array(length).fill(1);
  const begins = [0];
  const rows: number[] = [];
  let at = 0;
  for (const [i, { ids, mask }] of tokens.entries()) {
    inputIds.set(ids, at);
    if (mask) lossMask.set(mask, at);
    at += ids.length;
    for (const own of chunks ? chunkLengths(ids.length, maxLength) : [ids.length]) {
      begins.push(begins.at(-1)! + own);
      rows.push(firstRow + i);
    }
  }
  const offsets = Int32Array.from(begins);
  return { inputIds, lossMask, offsets, supervised: countSupervised(lossMask, offsets), rows: Uint32Array.from(rows) };
}
