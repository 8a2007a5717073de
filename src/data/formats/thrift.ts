// Thrift's compact protocol, which Parquet's footer and page headers are written in.
import { check, Damage } from "./damage.js";
import { readVarint, unzigzag } from "./varint.js";

/** Fields by their number. */
export type Struct = Map<number, Value>;
export type Value = boolean | number | Uint8Array | Value[] | Struct;

const DEEPEST = 24;

/** The bytes end within a value. */
export class EndsEarly extends Damage {}

class Reader {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  byte(): number {
    if (this.at >= this.bytes.length) throw new EndsEarly("its metadata ends early");
    return this.bytes[this.at++]!;
  }

  varint(): number {
    return readVarint(() => this.byte(), "its metadata");
  }

  zigzag(): number {
    return unzigzag(this.varint());
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new EndsEarly("its metadata ends early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  value(type: number, depth: number): Value {
    check(depth < DEEPEST, "its metadata is nested too deep");
    if (type === 1 || type === 2) return this.byte() === 1;
    if (type === 3) return (this.byte() << 24) >> 24;
    if (type >= 4 && type <= 6) return this.zigzag();
    if (type === 7) return this.take(8);
    if (type === 8) return this.take(this.varint());
    if (type === 9 || type === 10) return this.list(depth);
    if (type === 12) return this.struct(depth);
    throw new Damage(`its metadata holds a value of an unknown type, ${type}`);
  }

  list(depth: number): Value[] {
    const head = this.byte();
    const length = head >> 4 === 15 ? this.varint() : head >> 4;
    // Every element takes at least a byte, so that this bounds the loop.
    if (length > this.bytes.length - this.at) throw new EndsEarly("a list in its metadata is longer than it");
    const values: Value[] = [];
    for (let i = 0; i < length; i++) values.push(this.value(head & 15, depth + 1));
    return values;
  }

  struct(depth: number): Struct {
    const fields: Struct = new Map();
    let id = 0;
    for (;;) {
      const head = this.byte();
      if (head === 0) return fields;
      id = head >> 4 === 0 ? this.zigzag() : id + (head >> 4);
      const type = head & 15;
      // A field's boolean is its type.
      fields.set(id, type === 1 || type === 2 ? type === 1 : this.value(type, depth + 1));
    }
  }
}

/** @returns the struct at the beginning of some bytes, and its length. @throws Damage, EndsEarly */
export function readStruct(bytes: Uint8Array): { fields: Struct; length: number } {
  const reader = new Reader(bytes);
  const fields = reader.struct(0);
  return { fields, length: reader.at };
}

export function structOf(value: Value | undefined, what: string): Struct {
  check(value instanceof Map, `${what} is missing from its metadata`);
  return value;
}

export function structsOf(value: Value | undefined, what: string): Struct[] {
  check(Array.isArray(value), `${what} is missing from its metadata`);
  return value.map((one) => structOf(one, what));
}
