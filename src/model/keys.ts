import { LowrankError } from "../base/errors.js";
import { isObject, kindOf } from "../base/json.js";

/** The keys of a configuration object, read with their types and ranges. A key that is null counts as absent. */
export class ConfigKeys {
  /**
   * @param prefix of the keys' names in errors, such as "rope_scaling."
   * @param shown names for errors, of keys that have another name in the file
   */
  constructor(
    readonly json: Record<string, unknown>,
    readonly file: string,
    readonly prefix = "",
    readonly shown: Record<string, string> = {},
  ) {}

  /** These keys with some of others in their place; undefined: absent. */
  with(others: Record<string, unknown>): ConfigKeys {
    return new ConfigKeys({ ...this.json, ...others }, this.file, this.prefix, this.shown);
  }

  /** No keys, of an object that is absent. */
  empty(prefix: string): ConfigKeys {
    return new ConfigKeys({}, this.file, this.prefix + prefix, this.shown);
  }

  given(key: string): boolean {
    return this.json[key] !== undefined && this.json[key] !== null;
  }

  /** A key's name in the file. */
  nameOf(key: string): string {
    const name = this.prefix + key;
    return this.shown[name] ?? name;
  }

  error(key: string, message: string): LowrankError {
    const name = this.nameOf(key);
    return new LowrankError("E_CONFIG_VALUE", `${this.file}: ${name}: ${message}.`, name);
  }

  #read<T>(key: string, expected: string, accept: (value: unknown) => value is T, otherwise?: T): T {
    if (!this.given(key) && otherwise !== undefined) return otherwise;
    const value = this.json[key];
    if (accept(value)) return value;
    throw this.error(key, `expected ${expected}, found ${kindOf(value)}`);
  }

  /** A whole number from 1 to `largest`. */
  count(key: string, largest: number, otherwise?: number): number {
    const accept = (v: unknown): v is number => Number.isInteger(v) && (v as number) >= 1 && (v as number) <= largest;
    return this.#read(key, `a whole number from 1 to ${largest}`, accept, otherwise);
  }

  /** A whole number from 0 to `largest`. */
  whole(key: string, largest: number): number {
    const accept = (v: unknown): v is number => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= largest;
    return this.#read(key, `a whole number from 0 to ${largest}`, accept);
  }

  number(key: string, range: { above: number; atMost?: number }, otherwise?: number): number {
    const { above, atMost = Number.MAX_VALUE } = range;
    const accept = (v: unknown): v is number => typeof v === "number" && v > above && v <= atMost;
    const limit = range.atMost === undefined ? "" : ` and at most ${atMost}`;
    return this.#read(key, `a number above ${above}${limit}`, accept, otherwise);
  }

  flag(key: string, otherwise: boolean): boolean {
    return this.#read(key, "true or false", (v): v is boolean => typeof v === "boolean", otherwise);
  }

  /** A list of `length` elements, or of any number. */
  list<T>(key: string, expected: string, accept: (value: unknown) => value is T, length?: number): T[] {
    const size = length === undefined ? "" : `${length} `;
    return this.#read(key, `a list of ${size}${expected}`, (v): v is T[] => {
      return Array.isArray(v) && v.every(accept) && (length === undefined || v.length === length);
    });
  }

  /** Refuses every value but these. */
  only<T extends string | number | boolean>(key: string, allowed: readonly T[], otherwise?: T): T {
    const accept = (v: unknown): v is T => allowed.includes(v as T);
    const list = allowed.map((value) => JSON.stringify(value)).join(" or ");
    return this.#read(key, `${list} (nothing else is supported)`, accept, otherwise);
  }

  /** The keys of an object within, or null where it is absent. */
  within(key: string): ConfigKeys | null {
    if (!this.given(key)) return null;
    const inner = this.#read(key, "an object", isObject);
    return new ConfigKeys(inner, this.file, `${this.prefix}${key}.`, this.shown);
  }
}
