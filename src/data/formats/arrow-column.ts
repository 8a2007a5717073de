// The values of columns in a record batch.
import { Float } from "../../base/exact-json.js";
import type { ArrowField, Dictionary } from "./arrow-schema.js";
import { isText } from "./arrow-schema.js";
import type { Decode } from "./columnar.js";
import { check, checkedSize, Damage } from "./damage.js";
import type { Table } from "./flatbuffer.js";
import { unpackLz4Frame } from "./lz4.js";
import type { RandomAccess } from "./random-access.js";
import { wholeNumber } from "./whole-number.js";
import { unpackZstd } from "./zstd.js";

/** Writers may pad a buffer to a multiple of this many bytes. */
const PADDING = 64;

const VIEW_BYTES = 16;
/** Longest text that stands in its view. */
const SHORT_TEXT = 12;

/** Rows of a batch of nested values: some types take no bytes for a row, so that nothing else bounds them. */
const MOST_NESTED_ROWS = 2 ** 24;

const DAY_MS = 86_400_000;
/** Timestamps' units by their number in Arrow: how many make a millisecond. */
const PER_MS = [1e-3, 1, 1e3, 1e6];

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Value = (row: number) => unknown;

/** A node of a field: how many values it has, and which are null. */
interface Node {
  length: number;
  isNull: (row: number) => boolean;
}

export class BatchReader {
  readonly rows: number;
  readonly #source: RandomAccess;
  readonly #bodyAt: number;
  readonly #bodyBytes: number;
  readonly #text: Decode;
  readonly #dictionaries: ReadonlyMap<number, unknown[]>;
  readonly #nodes: number[][];
  readonly #buffers: number[][];
  readonly #views: number[][];
  readonly #compression: Table | undefined;

  /**
   * @param body place in the file of the batch's buffers
   * @param dictionaries entries by the number of their dictionary
   */
  constructor(
    source: RandomAccess,
    batch: Table,
    body: { bodyAt: number; bodyBytes: number },
    text: Decode,
    dictionaries: ReadonlyMap<number, unknown[]>,
  ) {
    this.#source = source;
    this.#bodyAt = body.bodyAt;
    this.#bodyBytes = body.bodyBytes;
    this.#text = text;
    this.#dictionaries = dictionaries;
    this.#nodes = batch.structs(1, 2);
    this.#buffers = batch.structs(2, 2);
    this.#compression = batch.table(3);
    this.#views = batch.structs(4, 1);
    this.rows = checkedSize(batch.int64(0), 2 ** 31, "a record batch's number of rows");
  }

  /** @param atMost bytes of the buffer, unpacked; without it the size that it gives itself is taken */
  async #buffer(n: number, atMost = Number.MAX_SAFE_INTEGER): Promise<Uint8Array> {
    const [offset, length] = this.#buffers[n] ?? [];
    const start = checkedSize(offset, this.#bodyBytes, "a buffer's offset");
    const bytes = checkedSize(length, this.#bodyBytes - start, "a buffer's length");
    const stored = await this.#source.read(this.#bodyAt + start, this.#bodyAt + start + bytes);
    if (this.#compression === undefined || bytes === 0) return stored;
    const size = Number(viewOf(stored).getBigInt64(0, true));
    const packed = stored.subarray(8);
    if (size === -1) return packed;
    checkedSize(size, atMost, "a buffer's unpacked length");
    const codec = this.#compression.byte(0);
    check(codec === 0 || codec === 1, `a record batch has an unknown compression, ${codec}`);
    return codec === 0 ? unpackLz4Frame(packed, size) : unpackZstd(packed, size);
  }

  /** A buffer of `count` entries. */
  async #entries(n: number, count: number, entryBytes: number): Promise<DataView> {
    const bytes = await this.#buffer(n, count * entryBytes + PADDING);
    check(bytes.length >= count * entryBytes, "a buffer is too short for the rows of its batch");
    return viewOf(bytes);
  }

  async #bits(n: number, count: number): Promise<(row: number) => boolean> {
    const bits = await this.#entries(n, Math.ceil(count / 8), 1);
    return (row) => ((bits.getUint8(row >> 3) >> (row & 7)) & 1) === 1;
  }

  /** @param most values that the field may have */
  async #node({ before, type }: ArrowField, most: number): Promise<Node> {
    const [rows, nulls] = this.#nodes[before.nodes] ?? [];
    const length = checkedSize(rows, most, "a column's number of rows");
    if (type === "null") return { length, isNull: () => true };
    if (nulls === 0) return { length, isNull: () => false };
    const isSet = await this.#bits(this.#firstBuffer(before), length);
    return { length, isNull: (row) => !isSet(row) };
  }

  /** Number of a column's first buffer. */
  #firstBuffer({ buffers, views }: ArrowField["before"]): number {
    let first = buffers;
    for (let v = 0; v < views; v++) {
      first += checkedSize(this.#views[v]?.[0], this.#buffers.length, "a column's number of buffers");
    }
    return first;
  }

  /** The values of a column of the batch. */
  async values(field: ArrowField): Promise<unknown[]> {
    if (!isText(field)) check(this.rows <= MOST_NESTED_ROWS, `a record batch has ${this.rows} rows`);
    const { length, value } = await this.#reader(field, this.rows);
    check(length === this.rows, `a column has ${length} rows, its record batch ${this.rows}`);
    return Array.from({ length: this.rows }, (_, row) => value(row));
  }

  /** @param most values that the field may have */
  async #reader(field: ArrowField, most: number): Promise<{ length: number; value: Value }> {
    const { length, isNull } = await this.#node(field, most);
    const buffer = this.#firstBuffer(field.before);
    const present = field.dictionary
      ? await this.#lookUp(field.dictionary, buffer, length)
      : await this.#present(field, buffer, length);
    return { length, value: (row) => (isNull(row) ? null : present(row)) };
  }

  /** The values that are not null. @param buffer number of the field's first */
  async #present(field: ArrowField, buffer: number, length: number): Promise<Value> {
    // An empty batch may have no offsets at all.
    if (length === 0 && field.type !== "utf8_view") return () => null;
    switch (field.type) {
      case "utf8":
      case "large_utf8":
        return this.#texts(field.type === "large_utf8", buffer, length);
      case "utf8_view":
        return this.#textViews(buffer, field.before.views, length);
      case "int":
        return this.#integers(field, buffer, length);
      case "float":
        return this.#floats(field, buffer, length);
      case "bool":
        return this.#bits(buffer + 1, length);
      case "date":
      case "timestamp":
        return this.#dates(field, buffer, length);
      case "struct":
        return this.#structs(field, length);
      case "null":
        return () => null;
      default:
        return this.#lists(field, buffer, length);
    }
  }

  async #offsets(buffer: number, length: number, isLarge: boolean): Promise<(i: number) => number> {
    const offsets = await this.#entries(buffer, length + 1, isLarge ? 8 : 4);
    return (i) => (isLarge ? Number(offsets.getBigInt64(8 * i, true)) : offsets.getInt32(4 * i, true));
  }

  async #texts(isLarge: boolean, buffer: number, length: number): Promise<Value> {
    const offset = await this.#offsets(buffer + 1, length, isLarge);
    const bytes = await this.#buffer(buffer + 2, offset(length) + PADDING);
    return (row) => {
      const end = checkedSize(offset(row + 1), bytes.length, "a text's end");
      return this.#text(bytes.subarray(checkedSize(offset(row), end, "a text's beginning"), end));
    };
  }

  async #textViews(buffer: number, view: number, length: number): Promise<Value> {
    const entries = await this.#entries(buffer + 1, length, VIEW_BYTES);
    const count = checkedSize(this.#views[view]?.[0], this.#buffers.length, "a column's number of buffers");
    const data: Uint8Array[] = [];
    for (let i = 0; i < count; i++) data.push(await this.#buffer(buffer + 2 + i));
    return (row) => {
      const at = row * VIEW_BYTES;
      const size = entries.getUint32(at, true);
      if (size <= SHORT_TEXT) return this.#text(new Uint8Array(entries.buffer, entries.byteOffset + at + 4, size));
      const bytes = data[entries.getUint32(at + 8, true)];
      check(bytes !== undefined, "a text is in a buffer that is not there");
      const start = entries.getUint32(at + 12, true);
      check(start + size <= bytes.length, "a text leads out of its buffer");
      return this.#text(bytes.subarray(start, start + size));
    };
  }

  async #whole(
    buffer: number,
    length: number,
    bytes: number,
    isSigned: boolean,
  ): Promise<(row: number) => number | bigint> {
    const entries = await this.#entries(buffer, length, bytes);
    const read = {
      1: (at: number) => (isSigned ? entries.getInt8(at) : entries.getUint8(at)),
      2: (at: number) => (isSigned ? entries.getInt16(at, true) : entries.getUint16(at, true)),
      4: (at: number) => (isSigned ? entries.getInt32(at, true) : entries.getUint32(at, true)),
      8: (at: number) => wholeNumber(isSigned ? entries.getBigInt64(at, true) : entries.getBigUint64(at, true)),
    }[bytes];
    if (read === undefined) throw new Damage(`a column has numbers of ${8 * bytes} bits`);
    return (row) => read(row * bytes);
  }

  #integers({ details }: ArrowField, buffer: number, length: number): Promise<Value> {
    return this.#whole(buffer + 1, length, (details?.int32(0) ?? 0) / 8, (details?.byte(1) ?? 0) !== 0);
  }

  async #floats({ details }: ArrowField, buffer: number, length: number): Promise<Value> {
    const precision = details?.int16(0) ?? 0;
    check(precision === 1 || precision === 2, `a column has numbers of an unknown precision, ${precision}`);
    const entries = await this.#entries(buffer + 1, length, 4 * precision);
    return (row) => new Float(precision === 1 ? entries.getFloat32(4 * row, true) : entries.getFloat64(8 * row, true));
  }

  async #dates({ type, details }: ArrowField, buffer: number, length: number): Promise<Value> {
    // A date counts days (unit 0) in 32 bits, or milliseconds. Milliseconds are the default.
    const unit = details?.int16(0, type === "date" ? 1 : 0) ?? 0;
    const isDays = type === "date" && unit === 0;
    const whole = await this.#whole(buffer + 1, length, isDays ? 4 : 8, true);
    const perMs = PER_MS[unit];
    if (perMs === undefined) throw new Damage(`a column has times of an unknown unit, ${unit}`);
    return (row) => new Date(isDays ? Number(whole(row)) * DAY_MS : Number(whole(row)) / perMs);
  }

  async #structs({ children }: ArrowField, length: number): Promise<Value> {
    const fields: { name: string; value: Value }[] = [];
    for (const child of children) {
      const { length: own, value } = await this.#reader(child, MOST_NESTED_ROWS);
      check(own >= length, "a part of a column has fewer rows than the column");
      fields.push({ name: child.name, value });
    }
    return (row) => Object.fromEntries(fields.map(({ name, value }) => [name, value(row)]));
  }

  async #lists({ type, details, children }: ArrowField, buffer: number, length: number): Promise<Value> {
    const [child] = children;
    check(child !== undefined, "a list has no type of its values");
    const { length: own, value } = await this.#reader(child, MOST_NESTED_ROWS);
    const size = type === "fixed_size_list" ? checkedSize(details?.int32(0), own, "a list's length") : 0;
    const offset =
      type === "fixed_size_list"
        ? (i: number) => i * size
        : await this.#offsets(buffer + 1, length, type === "large_list");
    return (row) => {
      const end = checkedSize(offset(row + 1), own, "a list's end");
      const begin = checkedSize(offset(row), end, "a list's beginning");
      const values = Array.from({ length: end - begin }, (_, i) => value(begin + i));
      // A map is a list of structs of key and value.
      return type === "map" ? values.map((pair) => Object.values(pair ?? {})) : values;
    };
  }

  /** The entries that a column's numbers stand for. */
  async #lookUp({ id, indexBytes, isSigned }: Dictionary, buffer: number, length: number): Promise<Value> {
    const entries = this.#dictionaries.get(id) ?? [];
    const index = length === 0 ? () => 0 : await this.#whole(buffer + 1, length, indexBytes, isSigned);
    return (row) => {
      const i = Number(index(row));
      check(i >= 0 && i < entries.length, `a row refers to an entry beyond the ${entries.length} of its dictionary`);
      return entries[i];
    };
  }
}
