// Parquet: the pages of one column, a page at a time.
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { LowrankError } from "../../base/errors.js";
import { columnar } from "./columnar.js";
import { check, checkedSize, Damage } from "./damage.js";
import { unpackLz4, unpackOldLz4 } from "./lz4.js";
import { findColumn } from "./parquet-footer.js";
import { PageBytes, readPlain, readRuns, readValues } from "./parquet-values.js";
import { unpackSnappy } from "./snappy.js";
import { EndsEarly, readStruct, structOf } from "./thrift.js";
import { unpackZstd } from "./zstd.js";
function ofZlib(unpack) {
    return async (bytes, size) => {
        try {
            return await unpack(bytes, { maxOutputLength: Math.max(size, 1) });
        }
        catch (error) {
            throw new Damage(`a page cannot be unpacked (${error.message})`);
        }
    };
}
/** By their number in Parquet. */
const CODECS = [
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
async function readHeader(source, at, end) {
    for (let guess = HEADER_BYTES;; guess *= 16) {
        try {
            return readStruct(await source.read(at, Math.min(at + guess, end)));
        }
        catch (error) {
            if (!(error instanceof EndsEarly) || at + guess >= end)
                throw error;
        }
    }
}
/** Which of the rows have a value, by the definition levels. */
function readLevels(bytes, rows) {
    return readRuns(new PageBytes(bytes), 1, rows).map((level) => level === 1);
}
class ColumnReader {
    source;
    chunk;
    isOptional;
    text;
    #dictionary;
    /** Of the chunk, yet to come. */
    #rowsLeft;
    #unpackedLeft;
    #unpack;
    constructor(source, chunk, isOptional, text) {
        this.source = source;
        this.chunk = chunk;
        this.isOptional = isOptional;
        this.text = text;
        this.#rowsLeft = chunk.rows;
        this.#unpackedLeft = chunk.unpackedBytes;
        const codec = CODECS[chunk.codec];
        if (codec?.unpack === undefined) {
            const { file } = source;
            const message = `${file} is compressed with ${codec?.name ?? `codec ${chunk.codec}`}. Write it with snappy, gzip, zstd, brotli, lz4 or none.`;
            throw new LowrankError("E_PARQUET", message, file);
        }
        this.#unpack = codec.unpack;
    }
    /** The texts of each page in turn. */
    async *read() {
        for (let at = this.chunk.start; this.#rowsLeft > 0;) {
            check(at < this.chunk.end, `${this.#rowsLeft} rows are missing from a row group`);
            const { fields, length } = await readHeader(this.source, at, this.chunk.end);
            at += length;
            const packed = checkedSize(fields.get(3), this.chunk.end - at, "a page's length");
            const unpacked = checkedSize(fields.get(2), this.#unpackedLeft, "a page's unpacked length");
            this.#unpackedLeft -= unpacked;
            const bytes = await this.source.read(at, at + packed);
            at += packed;
            const crc = fields.get(4);
            check(typeof crc !== "number" || zlib.crc32(bytes) === crc >>> 0, "a page differs from its checksum");
            const kind = fields.get(1);
            if (kind === DICTIONARY)
                await this.#readDictionary(fields, bytes, unpacked);
            else if (kind === DATA)
                yield await this.#readPage(fields, bytes, unpacked);
            else if (kind === DATA_V2)
                yield await this.#readPageV2(fields, bytes, unpacked);
        }
    }
    async #unpacked(bytes, size) {
        const unpacked = await this.#unpack(bytes, size);
        check(unpacked.length === size, `a page unpacks to ${unpacked.length} bytes, ${size} were announced`);
        return unpacked;
    }
    async #readDictionary(fields, bytes, size) {
        const head = structOf(fields.get(7), "a dictionary's description");
        const unpacked = await this.#unpacked(bytes, size);
        const count = checkedSize(head.get(1), size, "a dictionary's number of entries");
        this.#dictionary = readPlain(new PageBytes(unpacked), count).map(this.text);
    }
    #rows(value) {
        const rows = checkedSize(value, this.#rowsLeft, "a page's number of rows");
        this.#rowsLeft -= rows;
        return rows;
    }
    /** @param has which rows have a value; undefined: all */
    #values(bytes, encoding, rows, has) {
        const count = has === undefined ? rows : has.reduce((sum, one) => sum + Number(one), 0);
        const values = readValues(bytes, Number(encoding), count, this.#dictionary, this.text);
        let next = 0;
        return has === undefined ? values : has.map((one) => (one ? values[next++] : null));
    }
    async #readPage(fields, bytes, size) {
        const head = structOf(fields.get(5), "a page's description");
        const rows = this.#rows(head.get(1));
        const page = new PageBytes(await this.#unpacked(bytes, size));
        const has = this.isOptional ? readLevels(page.take(page.uint32()), rows) : undefined;
        return this.#values(page, head.get(2), rows, has);
    }
    /** The second version keeps the levels uncompressed before the values. */
    async #readPageV2(fields, bytes, size) {
        const head = structOf(fields.get(8), "a page's description");
        const rows = this.#rows(head.get(1));
        const most = Math.min(bytes.length, size);
        const repeats = checkedSize(head.get(6), most, "a page's length of levels");
        const levels = checkedSize(head.get(5), most - repeats, "a page's length of levels");
        const rest = bytes.subarray(repeats + levels);
        const restSize = size - repeats - levels;
        const isPacked = head.get(7) !== false && restSize > 0;
        const values = isPacked ? await this.#unpacked(rest, restSize) : rest;
        const has = this.isOptional ? readLevels(bytes.subarray(repeats, repeats + levels), rows) : undefined;
        return this.#values(new PageBytes(values), head.get(4), rows, has);
    }
}
async function* readColumn(source, name, text) {
    const { chunks, isOptional } = await findColumn(source, name);
    for (const chunk of chunks)
        yield* new ColumnReader(source, chunk, isOptional, text).read();
}
export const parquet = columnar("Parquet", [".parquet", ".parq", ".pq"], readColumn);
