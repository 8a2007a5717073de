// Reading FlatBuffers, which Arrow's metadata is written in. A read beyond the bytes is a RangeError of the view.
import { check } from "./damage.js";

export class Table {
  constructor(
    readonly view: DataView,
    readonly at: number,
  ) {}

  /** The table that some bytes begin with the offset of. */
  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Table(view, view.getUint32(0, true));
  }

  /** Where a field is, undefined where it is absent: then it has its default. */
  #field(n: number): number | undefined {
    const vtable = this.at - this.view.getInt32(this.at, true);
    if (6 + 2 * n > this.view.getUint16(vtable, true)) return undefined;
    const offset = this.view.getUint16(vtable + 4 + 2 * n, true);
    return offset === 0 ? undefined : this.at + offset;
  }

  byte(n: number, absent = 0): number {
    const at = this.#field(n);
    return at === undefined ? absent : this.view.getInt8(at);
  }

  int16(n: number, absent = 0): number {
    const at = this.#field(n);
    return at === undefined ? absent : this.view.getInt16(at, true);
  }

  int32(n: number): number {
    const at = this.#field(n);
    return at === undefined ? 0 : this.view.getInt32(at, true);
  }

  int64(n: number): number {
    const at = this.#field(n);
    return at === undefined ? 0 : Number(this.view.getBigInt64(at, true));
  }

  table(n: number): Table | undefined {
    const at = this.#field(n);
    return at === undefined ? undefined : new Table(this.view, at + this.view.getUint32(at, true));
  }

  /** Where a vector's elements of `bytes` each begin. */
  #vector(n: number, bytes: number): { at: number; length: number } {
    const field = this.#field(n);
    if (field === undefined) return { at: 0, length: 0 };
    const at = field + this.view.getUint32(field, true);
    const length = this.view.getUint32(at, true);
    check(at + 4 + length * bytes <= this.view.byteLength, "a list in its metadata is longer than it");
    return { at: at + 4, length };
  }

  text(n: number): string {
    const { at, length } = this.#vector(n, 1);
    return Buffer.from(this.view.buffer, this.view.byteOffset + at, length).toString("utf8");
  }

  tables(n: number): Table[] {
    const { at, length } = this.#vector(n, 4);
    return Array.from({ length }, (_, i) => {
      const element = at + 4 * i;
      return new Table(this.view, element + this.view.getUint32(element, true));
    });
  }

  /** A vector of structs of `words` 64-bit numbers each. */
  structs(n: number, words: number): number[][] {
    const { at, length } = this.#vector(n, 8 * words);
    return Array.from({ length }, (_, i) =>
      Array.from({ length: words }, (_, w) => Number(this.view.getBigInt64(at + 8 * (i * words + w), true))),
    );
  }
}
