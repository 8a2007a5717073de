// The end token of each text (`add_eos`).

/** The tokenizer's own frame of a text. */
export interface SpecialTokens {
  /** Numbers of special tokens that the tokenizer itself puts before and after a text. */
  before: number;
  after: number;
  /** Side that truncation cuts. */
  side: "left" | "right";
}

/** How texts get the tokenizer's end token. */
export interface TextEnd extends SpecialTokens {
  /** The end token. */
  id: number;
}

/**
 * A text's tokens with the end token, which stands before the special tokens that follow every text. A text that ends with
 * it is left alone. The end counts as part of the text: where the text alone fills `maxLength`, truncation cuts it off.
 * @param ids of a text, cut to `maxLength` already
 */
export function endText(ids: Int32Array, { id, before, after, side }: TextEnd, maxLength: number): Int32Array {
  const end = ids.length - after;
  if (end > before && ids[end - 1] === id) return ids;
  if (ids.length < maxLength) {
    const longer = new Int32Array(ids.length + 1);
    longer.set(ids.subarray(0, end));
    longer[end] = id;
    longer.set(ids.subarray(end), end + 1);
    return longer;
  }
  if (side === "left" && end > before) {
    ids.copyWithin(before, before + 1, end);
    ids[end - 1] = id;
  }
  return ids;
}

/**
 * A row of tokens and their loss mask with the end token, which is learned. A row that ends with a learned end token is
 * left alone.
 * @param row not cut yet
 */
export function endRow(
  { ids, mask }: { ids: Int32Array; mask: Uint8Array },
  id: number,
  { before, after }: SpecialTokens,
): { ids: Int32Array; mask: Uint8Array } {
  const end = ids.length - after;
  if (end > before && ids[end - 1] === id && mask[end - 1] === 1) return { ids, mask };
  const longer = { ids: new Int32Array(ids.length + 1), mask: new Uint8Array(ids.length + 1) };
  for (const [into, from, own] of [
    [longer.ids, ids, id],
    [longer.mask, mask, 1],
  ] as const) {
    into.set(from.subarray(0, end));
    into[end] = own;
    into.set(from.subarray(end), end + 1);
  }
  return longer;
}
