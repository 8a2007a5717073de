// Typed reading of a GGUF file's metadata.
import { LowrankError } from "../../base/errors.js";
import type { GgufHeader, GgufValue } from "./header.js";

/** Products of two stay exact integers. */
const LARGEST = 2 ** 26;

interface CountLimits {
  otherwise?: number;
  /** 2^26 where it is not given. */
  most?: number;
}

/** A value for a message, cut where it is long. */
export function shown(value: GgufValue | undefined): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/**
 * Methods that read a value throw a LowrankError that names file and key and the expected value. It ends with the
 * advice.
 */
export class Metadata {
  readonly #values: Map<string, GgufValue>;
  /** @param what follows the key: "is 3, expected 4" */
  readonly error: (key: string, what: string) => LowrankError;

  /** @param code of the errors, E_CONFIG_VALUE or E_TOKENIZER */
  constructor({ file, metadata }: Pick<GgufHeader, "file" | "metadata">, code: string, advice: string) {
    this.#values = metadata;
    this.error = (key, what) => new LowrankError(code, `${file}: ${key} ${what}. ${advice}`, key);
  }

  #wrong(key: string, expected: string): LowrankError {
    return this.error(key, `is ${shown(this.#values.get(key))}, expected ${expected}`);
  }

  get(key: string): GgufValue | undefined {
    return this.#values.get(key);
  }

  text(key: string): string {
    const value = this.#values.get(key);
    if (typeof value !== "string") throw this.#wrong(key, "a text");
    return value;
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#values.get(key) ?? otherwise;
    if (typeof value !== "boolean") throw this.#wrong(key, "true or false");
    return value;
  }

  /** A whole number from 1 to `most`. */
  count(key: string, { otherwise, most = LARGEST }: CountLimits = {}): number {
    const value = this.#values.get(key) ?? otherwise;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > most)
      throw this.#wrong(key, `a whole number from 1 to ${most}`);
    return value;
  }

  /** A number from 0 to below `count`; undefined where there is none, or one out of that range. */
  index(key: string, count: number): number | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number") throw this.#wrong(key, `the number of one of ${count} tokens`);
    return Number.isInteger(value) && value >= 0 && value < count ? value : undefined;
  }

  positive(key: string, otherwise?: number): number {
    const value = this.#values.get(key) ?? otherwise;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value))
      throw this.#wrong(key, "a number above 0");
    // The shortest number that is the same f32: 0.00001 is stored as 0.000009999999747378752.
    return shortest(value);
  }

  only<T extends GgufValue>(key: string, values: readonly T[], otherwise: T): T {
    const value = this.#values.get(key) ?? otherwise;
    if (!values.includes(value as T)) throw this.#wrong(key, values.map((each) => JSON.stringify(each)).join(" or "));
    return value as T;
  }

  texts(key: string): string[] {
    const value = this.#values.get(key);
    if (!Array.isArray(value) || !value.every((each) => typeof each === "string"))
      throw this.#wrong(key, "a list of texts");
    return value;
  }

  numbers(key: string): number[] {
    const value = this.#values.get(key);
    if (!Array.isArray(value) || !value.every((each) => typeof each === "number"))
      throw this.#wrong(key, "a list of numbers");
    return value;
  }
}

/** The decimal number that was stored in 32 bits. */
function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
