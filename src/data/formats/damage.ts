// Faults in the bytes of a binary file: thrown by decoders, which know no file, and worded once.
import { LowrankError } from "../../base/errors.js";

/** Bytes that cannot be right. The message says what was found: "a page is longer than its column". */
export class Damage extends Error {}

export function check(right: boolean, found: string): asserts right {
  if (!right) throw new Damage(found);
}

/** A count, size or offset that must be a whole number from 0 to `most`. */
export function checkedSize(value: unknown, most: number, what: string): number {
  check(typeof value === "number" && Number.isInteger(value) && value >= 0, `${what} is missing or no size`);
  check(value <= most, `${what} is ${value}, at most ${most} can be`);
  return value;
}

/** An error of a decoder in words. Other errors are returned unchanged. @param kind "Parquet" or "Arrow" */
export function damageError(error: unknown, file: string, kind: string): unknown {
  // A DataView throws RangeError where a read leaves it, a typed array where a length is beyond any memory.
  if (!(error instanceof Damage || error instanceof RangeError)) return error;
  const found = error instanceof Damage ? error.message : "a length or an offset in it leads out of its part";
  const message = `${file} is not a whole ${kind} file: ${found}. Copy or write it again.`;
  return new LowrankError(`E_${kind.toUpperCase()}`, message, file, { cause: error });
}
