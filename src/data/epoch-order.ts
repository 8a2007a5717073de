import { LowrankError } from "../base/errors.js";
import { generator, shuffle } from "./random.js";

/** Separate streams of the same seed. */
const SPLIT = 1;
const ORDER = 2;

/**
 * Which rows are held back for validation: a random choice that depends on `seed` and the number of rows only, in file
 * order. At least one row goes to either side.
 * @throws LowrankError E_SPLIT where there is one row only
 */
export function splitValidation(
  rows: number,
  fraction: number,
  seed: number,
): { train: Int32Array; validation: Int32Array } {
  if (rows < 2) {
    throw new LowrankError(
      "E_SPLIT",
      "A validation split needs at least two texts, found one. Add texts, or name a file with --validation_file.",
    );
  }
  const held = Math.min(rows - 1, Math.max(1, Math.round(rows * fraction)));
  const mixed = shuffle(
    Int32Array.from({ length: rows }, (_, i) => i),
    generator(seed, SPLIT, 0),
  );
  return { train: mixed.slice(held).sort(), validation: mixed.slice(0, held).sort() };
}

/** The rows in the order of an epoch, counted from 0; depends on `seed` and `epoch` only. */
export function epochOrder(indices: Int32Array, seed: number, epoch: number, shuffled: boolean): Int32Array {
  return shuffled ? shuffle(indices.slice(), generator(seed, ORDER, epoch)) : indices.slice();
}

/** Batches that a stretch of similar lengths is sorted over, and the most of the data set that it may be. */
const STRETCH_BATCHES = 50;
const LARGEST_SHARE = 4;

/**
 * An order in which a batch's items are of similar length, as the Trainer's `LengthGroupedSampler` makes it. Stretches of
 * `STRETCH_BATCHES` batches of the given order are sorted by length, the longest first. The longest item of all comes
 * first of all, so that an item that does not fit into memory shows at once.
 * @param order the numbers from 0 to its length, in any order
 * @param batchSize items of a step
 * @param tokens of an item
 */
export function groupByLength(order: Int32Array, batchSize: number, tokens: (item: number) => number): Int32Array {
  const batches = Math.min(Math.floor(order.length / (batchSize * LARGEST_SHARE)), STRETCH_BATCHES);
  const stretch = batchSize * Math.max(batches, 1);
  const lengths = new Int32Array(order.length);
  for (const item of order) lengths[item] = tokens(item);
  const grouped = order.slice();
  let longest = 0;
  for (let at = 0; at < grouped.length; at += stretch) {
    grouped.subarray(at, at + stretch).sort((a, b) => lengths[b]! - lengths[a]!);
    if (lengths[grouped[at]!]! > lengths[grouped[longest]!]!) longest = at;
  }
  const first = grouped[0]!;
  grouped[0] = grouped[longest]!;
  grouped[longest] = first;
  return grouped;
}
