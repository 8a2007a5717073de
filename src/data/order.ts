import { LowrankError } from "../errors.js";
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
