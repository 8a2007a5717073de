// How Parquet writes values within a page.
import type { Decode } from "./columnar.js";
import { check } from "./damage.js";
import { BOOLEAN, BYTE_ARRAY, FLOAT, INT32, INT64, type Node } from "./parquet-schema.js";
import { readVarint, unzigzag } from "./varint.js";
import { wholeNumber } from "./whole-number.js";

/** A part of a page, read from its beginning on. */
export class PageBytes {
  at = 0;
  readonly #view: DataView;
  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    return this.#view.getUint8(this.at++);
  }

  uint32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }

  int32(): number {
    this.at += 4;
    return this.#view.getInt32(this.at - 4, true);
  }

  int64(): number | bigint {
    this.at += 8;
    return wholeNumber(this.#view.getBigInt64(this.at - 8, true));
  }

  float(): number {
    this.at += 4;
    return this.#view.getFloat32(this.at - 4, true);
  }

  double(): number {
    this.at += 8;
    return this.#view.getFloat64(this.at - 8, true);
  }

  take(length: number): Uint8Array {
    check(length <= this.bytes.length - this.at, "a page ends within a value");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  varint(): number {
    return readVarint(() => this.byte(), "a page");
  }

  zigzag(): number {
    return unzigzag(this.varint());
  }
}

/** `count` numbers of `width` bits each, the lowest bits first, from `bytes` that hold them all. */
function unpackBits(bytes: Uint8Array, width: number, count: number, add: (value: number) => void): void {
  let bit = 0;
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let done = 0; done < width; ) {
      const offset = bit & 7;
      const take = Math.min(8 - offset, width - done);
      value += ((bytes[bit >> 3]! >> offset) & (2 ** take - 1)) * 2 ** done;
      done += take;
      bit += take;
    }
    add(value);
  }
}

/** `count` numbers of `width` bits in runs: of one number, or packed by eight. */
export function readRuns(bytes: PageBytes, width: number, count: number): number[] {
  check(width <= 32, `numbers of ${width} bits in a page`);
  const values: number[] = [];
  while (values.length < count) {
    const head = bytes.varint();
    const left = count - values.length;
    check(head > 1, "an empty run in a page");
    if (head % 2 === 0) {
      const stored = bytes.take(Math.ceil(width / 8));
      const value = stored.reduceRight((sum, byte) => sum * 256 + byte, 0);
      for (let i = Math.min(head / 2, left); i > 0; i--) values.push(value);
    } else {
      const packed = Math.min(((head - 1) / 2) * 8, Math.ceil(left / 8) * 8);
      unpackBits(bytes.take((packed / 8) * width), width, Math.min(packed, left), (value) => values.push(value));
    }
  }
  return values;
}

/** Numbers as differences, packed in blocks of miniblocks (DELTA_BINARY_PACKED). */
function readDeltas(bytes: PageBytes, most: number): number[] {
  const blockSize = bytes.varint();
  const miniblocks = bytes.varint();
  const count = bytes.varint();
  const perMiniblock = blockSize / miniblocks;
  check(count <= most, `a page holds ${count} lengths for ${most} values`);
  check(perMiniblock % 32 === 0 && perMiniblock > 0 && perMiniblock <= 2 ** 20, "a page has blocks of a broken size");
  let value = bytes.zigzag();
  const values = count > 0 ? [value] : [];
  while (values.length < count) {
    const smallest = bytes.zigzag();
    const widths = bytes.take(miniblocks);
    for (const width of widths) {
      if (values.length >= count) break;
      check(width <= 64, `numbers of ${width} bits in a page`);
      const packed = bytes.take((perMiniblock / 8) * width);
      unpackBits(packed, width, Math.min(perMiniblock, count - values.length), (delta) => {
        // Differences of 32-bit numbers wrap around.
        value = (value + smallest + delta) | 0;
        values.push(value);
      });
    }
  }
  return values;
}

function readLengths(bytes: PageBytes, most: number): number[] {
  const lengths = readDeltas(bytes, most);
  for (const length of lengths) check(length >= 0, "a negative length in a page");
  return lengths;
}

function readByteArrays(bytes: PageBytes, count: number): Uint8Array[] {
  check(count * 4 <= bytes.bytes.length, "a page is too short for its values");
  return Array.from({ length: count }, () => bytes.take(bytes.uint32()));
}

function readDeltaLengths(bytes: PageBytes, count: number): Uint8Array[] {
  const lengths = readLengths(bytes, count);
  check(lengths.length === count, `a page holds ${lengths.length} lengths for ${count} values`);
  return lengths.map((length) => bytes.take(length));
}

/** Every value begins with some bytes of the one before. @param mostBytes bound of all values together */
function readDeltaStrings(bytes: PageBytes, count: number, mostBytes: number): Uint8Array[] {
  const prefixes = readLengths(bytes, count);
  const suffixes = readDeltaLengths(bytes, count);
  check(prefixes.length === count, `a page holds ${prefixes.length} prefixes for ${count} values`);
  let before: Uint8Array = new Uint8Array(0);
  let sum = 0;
  return suffixes.map((suffix, i) => {
    const prefix = prefixes[i]!;
    check(prefix <= before.length, "a value repeats more than the one before has");
    sum += prefix + suffix.length;
    check(sum <= mostBytes, "the values of a page are too long together");
    before = Buffer.concat([before.subarray(0, prefix), suffix]);
    return before;
  });
}

/** Values of shared beginnings may unpack to a multiple of their page. */
const MOST_SHARED_BYTES = 2 ** 30;

/** How the values of a leaf are read. */
export interface DecodeLeaf {
  physical: number;
  /** `count` values one after the other. */
  plain(bytes: PageBytes, count: number): unknown[];
  /** A text of bytes, or a value of a number. */
  convert(value: unknown): unknown;
}

export function leafDecoder({ physical, convert }: Node, text: Decode): DecodeLeaf {
  if (physical === BYTE_ARRAY) {
    return {
      physical,
      plain: (bytes, count) => readByteArrays(bytes, count).map(text),
      convert: (value) => text(value as Uint8Array),
    };
  }
  const plain = (bytes: PageBytes, count: number) => readNumbers(physical, bytes, count).map(convert);
  return { physical, plain, convert };
}

function readNumbers(physical: number, bytes: PageBytes, count: number): unknown[] {
  if (physical === BOOLEAN) {
    const values: boolean[] = [];
    unpackBits(bytes.take(Math.ceil(count / 8)), 1, count, (bit) => values.push(bit === 1));
    return values;
  }
  const size = physical === INT32 || physical === FLOAT ? 4 : 8;
  check(count * size <= bytes.bytes.length, "a page is too short for its values");
  const next = { [INT32]: () => bytes.int32(), [INT64]: () => bytes.int64(), [FLOAT]: () => bytes.float() }[physical];
  return Array.from({ length: count }, next ?? (() => bytes.double()));
}

/**
 * The values of a page, nulls left out.
 * @param encoding its number in Parquet
 * @param dictionary of the row group's column, if it has one
 */
export function readValues(
  bytes: PageBytes,
  encoding: number,
  count: number,
  dictionary: unknown[] | undefined,
  decode: DecodeLeaf,
): unknown[] {
  const { physical } = decode;
  if (encoding === 0) return decode.plain(bytes, count);
  if (encoding === 6 && physical === BYTE_ARRAY) return readDeltaLengths(bytes, count).map(decode.convert);
  if (encoding === 7 && physical === BYTE_ARRAY) {
    return readDeltaStrings(bytes, count, MOST_SHARED_BYTES).map(decode.convert);
  }
  if (encoding === 5 && physical === INT32) {
    const values = readDeltas(bytes, count);
    check(values.length === count, `a page holds ${values.length} numbers for ${count} values`);
    return values.map(decode.convert);
  }
  if (encoding === 3 && physical === BOOLEAN) {
    const runs = new PageBytes(bytes.take(bytes.uint32()));
    return readRuns(runs, 1, count).map((bit) => bit === 1);
  }
  check(encoding === 2 || encoding === 8, `a page has an encoding that its values cannot have, ${encoding}`);
  check(dictionary !== undefined, "a page refers to a dictionary that is not there");
  if (count === 0) return [];
  return readRuns(bytes, bytes.byte(), count).map((i) => {
    check(i < dictionary.length, `a page refers to entry ${i} of a dictionary of ${dictionary.length}`);
    return dictionary[i];
  });
}
