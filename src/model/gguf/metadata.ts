// Typed reading of a GGUF file's metadata.
import { LowrankError } from "../../errors.js";
import type { GgufHeader, GgufValue } from "./header.js";

/** Products of two stay exact integers. */
const LARGEST = 2 ** 26;

export class Metadata {
  readonly #file: string;
  readonly #values: Map<string, GgufValue>;

  constructor({ file, metadata }: Pick<GgufHeader, "file" | "metadata">) {
    this.#file = file;
    this.#values = metadata;
  }

  #wrong(key: string, expected: string): LowrankError {
    const value = this.#values.get(key);
    const found = value === undefined ? "is missing" : `is ${Array.isArray(value) ? "a list" : JSON.stringify(value)}`;
    return new LowrankError("E_CONFIG_VALUE", `${this.#file}: ${key} ${found}, expected ${expected}.`, key);
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

  /** A whole number of at least 1. */
  count(key: string, otherwise?: number): number {
    const value = this.#values.get(key) ?? otherwise;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > LARGEST * 32)
      throw this.#wrong(key, "a whole number of at least 1");
    return value;
  }

  /** Undefined where there is none. */
  id(key: string): number | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw this.#wrong(key, "a token's number");
    return value;
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

/** What was written as a decimal number and stored in 32 bits. */
function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
