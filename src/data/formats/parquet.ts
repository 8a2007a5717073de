// Parquet: the pages of the wanted columns, a page at a time.
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { LowrankError } from "../../base/errors.js";
import { alignColumns, columnar, type Decode, type Wanted, withAbsent } from "./columnar.js";
import { check, checkedSize, Damage } from "./damage.js";
import { unpackLz4, unpackOldLz4 } from "./lz4.js";
import { type Chunk, countRows, findColumns, type ParquetColumn } from "./parquet-footer.js";
import { assemble, type Entries, RowSplitter } from "./parquet-rows.js";
import type { Node } from "./parquet-schema.js";
import { type DecodeLeaf, leafDecoder, PageBytes, readRuns, readValues } from "./parquet-values.js";
import type { RandomAccess } from "./random-access.js";
import { unpackSnappy } from "./snappy.js";
import { EndsEarly, readStruct, type Struct, structOf } from "./thrift.js";
import { unpackZstd } from "./zstd.js";

type Unpack = (bytes: Uint8Array, size: number) => Uint8Array | Promise<Uint8Array>;

function ofZlib(unpack: (bytes: Uint8Array, options: zlib.ZlibOptions) => Promise<Buffer>): Unpack {
  return async (bytes, size) => {
    try {
      return await unpack(bytes, { maxOutputLength: Math.max(size, 1) });
    } catch (error) {
      throw new Damage(`a page cannot be unpacked (${(error as Error).message})`);
    }
  };
}

/** Codecs by their number in Parquet. */
const CODECS: { name: string; unpack?: Unpack }[] = [
  { name: "none", unpack: (bytes) => bytes },
  { name: "snappy", unpack: unpackSnappy },
  { name: "gzip", unpack: ofZlib(promisify(zlib.gunzip)) },
  { name: "lzo" },
  { name: "brotli", unpack: ofZlib(promisify(zlib.brotliDecompress)) },
  { name: "lz4", unpack: unpackOldLz4 },
  { name: "zstd", unpack: unpackZstd },
  { name: "lz4_raw", unpack: unpackLz4 },
];

/** A page header's kinds. */
const DATA = 0;
const DICTIONARY = 2;
const DATA_V2 = 3;

/** First guess at a header's length; statistics in it may be longer. */
const HEADER_BYTES = 4096;

async function readHeader(source: RandomAccess, at: number, end: number): Promise<{ fields: Struct; length: number }> {
  for (let guess = HEADER_BYTES; ; guess *= 16) {
    try {
      return readStruct(await source.read(at, Math.min(at + guess, end)));
    } catch (error) {
      if (!(error instanceof EndsEarly) || at + guess >= end) throw error;
    }
  }
}

/** Bits of a level up to the highest. */
function levelBits(highest: number): number {
  return 32 - Math.clz32(highest);
}

/** The values of a page with their levels. */
interface Page {
  /** Without nulls. */
  values: unknown[];
  /** Definition level of each entry; undefined: all entries are values. */
  definitions: number[] | undefined;
  /** Repetition level of each entry; undefined: each entry is a row. */
  repetitions: number[] | undefined;
}

class ChunkReader {
  readonly #source: RandomAccess;
  readonly #chunk: Chunk;
  readonly #leaf: Node;
  readonly #decode: DecodeLeaf;
  #dictionary: unknown[] | undefined;
  /** Entries of the chunk yet to come, and bytes. */
  #left: number;
  #unpackedLeft: number;
  readonly #unpack: Unpack;

  constructor(source: RandomAccess, chunk: Chunk, leaf: Node, text: Decode) {
    this.#source = source;
    this.#chunk = chunk;
    this.#leaf = leaf;
    this.#decode = leafDecoder(leaf, text);
    this.#left = chunk.values;
    this.#unpackedLeft = chunk.unpackedBytes;
    const codec = CODECS[chunk.codec];
    if (codec?.unpack === undefined) {
      const { file } = source;
      const message = `${file} is compressed with ${codec?.name ?? `codec ${chunk.codec}`}. Write it with snappy, gzip, zstd, brotli, lz4 or none.`;
      throw new LowrankError("E_PARQUET", message, file);
    }
    this.#unpack = codec.unpack;
  }

  async *pages(): AsyncGenerator<Page> {
    for (let at = this.#chunk.start; this.#left > 0; ) {
      check(at < this.#chunk.end, `${this.#left} rows are missing from a row group`);
      const { fields, length } = await readHeader(this.#source, at, this.#chunk.end);
      at += length;
      const packed = checkedSize(fields.get(3), this.#chunk.end - at, "a page's length");
      const unpacked = checkedSize(fields.get(2), this.#unpackedLeft, "a page's unpacked length");
      this.#unpackedLeft -= unpacked;
      const bytes = await this.#source.read(at, at + packed);
      at += packed;
      const crc = fields.get(4);
      check(typeof crc !== "number" || zlib.crc32(bytes) === crc >>> 0, "a page differs from its checksum");
      const kind = fields.get(1);
      if (kind === DICTIONARY) await this.#readDictionary(fields, bytes, unpacked);
      else if (kind === DATA) yield await this.#readPage(fields, bytes, unpacked);
      else if (kind === DATA_V2) yield await this.#readPageV2(fields, bytes, unpacked);
    }
  }

  async #unpacked(bytes: Uint8Array, size: number): Promise<Uint8Array> {
    const unpacked = await this.#unpack(bytes, size);
    check(unpacked.length === size, `a page unpacks to ${unpacked.length} bytes, ${size} were announced`);
    return unpacked;
  }

  async #readDictionary(fields: Struct, bytes: Uint8Array, size: number): Promise<void> {
    const head = structOf(fields.get(7), "a dictionary's description");
    const unpacked = await this.#unpacked(bytes, size);
    const count = checkedSize(head.get(1), size, "a dictionary's number of entries");
    this.#dictionary = this.#decode.plain(new PageBytes(unpacked), count);
  }

  #entries(value: unknown): number {
    const entries = checkedSize(value, this.#left, "a page's number of rows");
    this.#left -= entries;
    return entries;
  }

  #page(bytes: PageBytes, encoding: unknown, entries: number, levels: Pick<Page, "definitions" | "repetitions">): Page {
    const { definition } = this.#leaf;
    const { definitions } = levels;
    const count = definitions ? definitions.reduce((sum, one) => sum + Number(one === definition), 0) : entries;
    return { ...levels, values: readValues(bytes, Number(encoding), count, this.#dictionary, this.#decode) };
  }

  async #readPage(fields: Struct, bytes: Uint8Array, size: number): Promise<Page> {
    const head = structOf(fields.get(5), "a page's description");
    const entries = this.#entries(head.get(1));
    const page = new PageBytes(await this.#unpacked(bytes, size));
    const levels = (highest: number) =>
      highest > 0 ? readRuns(new PageBytes(page.take(page.uint32())), levelBits(highest), entries) : undefined;
    const repetitions = levels(this.#leaf.repetition);
    const definitions = levels(this.#leaf.definition);
    return this.#page(page, head.get(2), entries, { repetitions, definitions });
  }

  /** The second version keeps the levels uncompressed before the values. */
  async #readPageV2(fields: Struct, bytes: Uint8Array, size: number): Promise<Page> {
    const head = structOf(fields.get(8), "a page's description");
    const entries = this.#entries(head.get(1));
    const most = Math.min(bytes.length, size);
    const repeats = checkedSize(head.get(6), most, "a page's length of levels");
    const defines = checkedSize(head.get(5), most - repeats, "a page's length of levels");
    const rest = bytes.subarray(repeats + defines);
    const restSize = size - repeats - defines;
    const isPacked = head.get(7) !== false && restSize > 0;
    const values = isPacked ? await this.#unpacked(rest, restSize) : rest;
    const levels = (highest: number, begin: number, length: number) =>
      highest > 0
        ? readRuns(new PageBytes(bytes.subarray(begin, begin + length)), levelBits(highest), entries)
        : undefined;
    const repetitions = levels(this.#leaf.repetition, 0, repeats);
    const definitions = levels(this.#leaf.definition, repeats, defines);
    return this.#page(new PageBytes(values), head.get(4), entries, { repetitions, definitions });
  }
}

/** The values of a leaf that is a column itself, in one row group. */
async function* flatValues(reader: ChunkReader, leaf: Node): AsyncGenerator<unknown[]> {
  for await (const { values, definitions } of reader.pages()) {
    let next = 0;
    yield definitions ? definitions.map((one) => (one === leaf.definition ? values[next++] : null)) : values;
  }
}

/** The entries of each row of a leaf of a nested column, in one row group. */
async function* leafRows(reader: ChunkReader, leaf: Node): AsyncGenerator<Entries[]> {
  const splitter = new RowSplitter(leaf);
  for await (const page of reader.pages()) yield splitter.add(page);
  yield splitter.end();
}

async function* readColumn(
  source: RandomAccess,
  { node, leaves, groups }: ParquetColumn,
  text: Decode,
): AsyncGenerator<unknown[]> {
  const isFlat = node.children.length === 0 && !node.isRepeated;
  for (const chunks of groups) {
    const readers = chunks.map((chunk, i) => new ChunkReader(source, chunk, leaves[i]!, text));
    if (isFlat) {
      yield* flatValues(readers[0]!, node);
      continue;
    }
    let left = chunks[0]!.rows;
    for await (const rows of alignColumns(readers.map((reader, i) => leafRows(reader, leaves[i]!)))) {
      left -= rows[0]!.length;
      check(left >= 0, "a row group has more rows than announced");
      const all = rows as Entries[][];
      yield all[0]!.map((_, row) =>
        assemble(
          node,
          all.map((entries) => entries[row]!),
        ),
      );
    }
    check(left === 0, `${left} rows are missing from a row group`);
  }
}

async function* readColumns(source: RandomAccess, wanted: Wanted[]): AsyncGenerator<unknown[][]> {
  const columns = await findColumns(source, wanted);
  const there = columns.flatMap((column, i) => (column === null ? [] : [readColumn(source, column, wanted[i]!.text)]));
  if (there.length === 0) return;
  for await (const values of alignColumns(there)) yield withAbsent(columns, values);
}

export const parquet = columnar("Parquet", [".parquet", ".parq", ".pq"], readColumns, countRows);
