// Texts to examples, a block at a time: in a worker thread or here.
import type { EncodeOptions } from "./encode.js";

/** What happens to a text of more than `maxLength` tokens: it is cut, or becomes several examples. */
export type LongText = "truncate" | "chunk";

export interface TokeniseOptions {
  maxLength: number;
  longText: LongText;
}

/** Examples one after the other. */
export interface Block {
  inputIds: Int32Array;
  /** Of each example, in tokens. */
  lengths: Int32Array;
  /** Number of each example's text among all, from 0. */
  rows: Uint32Array;
}

/** Lengths of the examples that a text of so many tokens becomes; none is a single token that nothing could be learned from. */
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

interface Encoder {
  encode(texts: string[], options: EncodeOptions): Promise<Int32Array[]>;
}

/** @param firstRow number of the first text among all */
export async function tokeniseBlock(
  encoder: Encoder,
  texts: string[],
  firstRow: number,
  { maxLength, longText }: TokeniseOptions,
): Promise<Block> {
  const chunks = longText === "chunk";
  const encoded = await encoder.encode(texts, { maxLength: chunks ? undefined : maxLength });
  const inputIds = new Int32Array(encoded.reduce((sum, ids) => sum + ids.length, 0));
  const lengths: number[] = [];
  const rows: number[] = [];
  let at = 0;
  for (const [i, ids] of encoded.entries()) {
    inputIds.set(ids, at);
    at += ids.length;
    for (const length of chunks ? chunkLengths(ids.length, maxLength) : [ids.length]) {
      lengths.push(length);
      rows.push(firstRow + i);
    }
  }
  return { inputIds, lengths: Int32Array.from(lengths), rows: Uint32Array.from(rows) };
}
