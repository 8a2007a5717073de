import { check, checkedSize } from "./damage.js";
import { unpackLz4Frame } from "./lz4.js";
import { unpackZstd } from "./zstd.js";
/** Writers may pad a buffer to a multiple of this many bytes. */
const PADDING = 64;
const VIEW_BYTES = 16;
/** Longest text that stands in its view. */
const SHORT_TEXT = 12;
function viewOf(bytes) {
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
export class BatchReader {
    source;
    bodyAt;
    bodyBytes;
    text;
    rows;
    #nodes;
    #buffers;
    #views;
    #compression;
    /** @param bodyAt where in the file the batch's buffers are, `bodyBytes` together */
    constructor(source, batch, bodyAt, bodyBytes, text) {
        this.source = source;
        this.bodyAt = bodyAt;
        this.bodyBytes = bodyBytes;
        this.text = text;
        this.#nodes = batch.structs(1, 2);
        this.#buffers = batch.structs(2, 2);
        this.#compression = batch.table(3);
        this.#views = batch.structs(4, 1);
        this.rows = checkedSize(batch.int64(0), 2 ** 31, "a record batch's number of rows");
    }
    /** @param atMost bytes of the buffer, unpacked; without it what it says itself is taken */
    async #buffer(n, atMost = Number.MAX_SAFE_INTEGER) {
        const [offset, length] = this.#buffers[n] ?? [];
        const start = checkedSize(offset, this.bodyBytes, "a buffer's offset");
        const bytes = checkedSize(length, this.bodyBytes - start, "a buffer's length");
        const stored = await this.source.read(this.bodyAt + start, this.bodyAt + start + bytes);
        if (this.#compression === undefined || bytes === 0)
            return stored;
        const size = Number(viewOf(stored).getBigInt64(0, true));
        const packed = stored.subarray(8);
        if (size === -1)
            return packed;
        checkedSize(size, atMost, "a buffer's unpacked length");
        const codec = this.#compression.byte(0);
        check(codec === 0 || codec === 1, `a record batch has an unknown compression, ${codec}`);
        return codec === 0 ? unpackLz4Frame(packed, size) : unpackZstd(packed, size);
    }
    /** A buffer of `count` entries. */
    async #entries(n, count, entryBytes) {
        const bytes = await this.#buffer(n, count * entryBytes + PADDING);
        check(bytes.length >= count * entryBytes, "a buffer is too short for the rows of its batch");
        return viewOf(bytes);
    }
    async #isNull(node, buffer) {
        const [rows, nulls] = this.#nodes[node] ?? [];
        check(rows === this.rows, `a column has ${rows} rows, its record batch ${this.rows}`);
        if (nulls === 0)
            return () => false;
        const bits = await this.#entries(buffer, Math.ceil(this.rows / 8), 1);
        return (row) => ((bits.getUint8(row >> 3) >> (row & 7)) & 1) === 0;
    }
    /** Where the column's node and buffers begin. */
    #place({ before }) {
        let buffer = before.buffers;
        for (let v = 0; v < before.views; v++) {
            buffer += checkedSize(this.#views[v]?.[0], this.#buffers.length, "a column's number of buffers");
        }
        return { node: before.nodes, buffer, view: before.views };
    }
    /** The texts of a column, or of a dictionary, which is the only column of its batch. */
    async texts(column) {
        const { node, buffer, view } = this.#place(column);
        const isNull = await this.#isNull(node, buffer);
        const value = await this.#reader(column.type, buffer, view);
        return Array.from({ length: this.rows }, (_, row) => (isNull(row) ? null : value(row)));
    }
    async #reader(type, buffer, view) {
        if (type === "utf8_view")
            return this.#viewReader(buffer, view);
        // An empty batch may have no offsets at all.
        if (this.rows === 0)
            return () => "";
        const isLarge = type === "large_utf8";
        const offsets = await this.#entries(buffer + 1, this.rows + 1, isLarge ? 8 : 4);
        const offset = (i) => (isLarge ? Number(offsets.getBigInt64(8 * i, true)) : offsets.getInt32(4 * i, true));
        const bytes = await this.#buffer(buffer + 2, offset(this.rows) + PADDING);
        return (row) => {
            const end = checkedSize(offset(row + 1), bytes.length, "a text's end");
            return this.text(bytes.subarray(checkedSize(offset(row), end, "a text's beginning"), end));
        };
    }
    async #viewReader(buffer, view) {
        const entries = await this.#entries(buffer + 1, this.rows, VIEW_BYTES);
        const count = checkedSize(this.#views[view]?.[0], this.#buffers.length, "a column's number of buffers");
        const data = [];
        for (let i = 0; i < count; i++)
            data.push(await this.#buffer(buffer + 2 + i));
        return (row) => {
            const at = row * VIEW_BYTES;
            const length = entries.getUint32(at, true);
            if (length <= SHORT_TEXT)
                return this.text(new Uint8Array(entries.buffer, entries.byteOffset + at + 4, length));
            const bytes = data[entries.getUint32(at + 8, true)];
            check(bytes !== undefined, "a text is in a buffer that is not there");
            const start = entries.getUint32(at + 12, true);
            check(start + length <= bytes.length, "a text leads out of its buffer");
            return this.text(bytes.subarray(start, start + length));
        };
    }
    /** The texts that a column's indices stand for. */
    async lookUp(column, dictionary) {
        const { indexBytes, isSigned } = column.dictionary;
        const { node, buffer } = this.#place(column);
        const isNull = await this.#isNull(node, buffer);
        const entries = await this.#entries(buffer + 1, this.rows, indexBytes);
        const read = {
            1: (at) => (isSigned ? entries.getInt8(at) : entries.getUint8(at)),
            2: (at) => (isSigned ? entries.getInt16(at, true) : entries.getUint16(at, true)),
            4: (at) => (isSigned ? entries.getInt32(at, true) : entries.getUint32(at, true)),
            8: (at) => Number(entries.getBigInt64(at, true)),
        }[indexBytes];
        return Array.from({ length: this.rows }, (_, row) => {
            if (isNull(row))
                return null;
            const text = dictionary[read(row * indexBytes)];
            check(text !== undefined, `a row refers to an entry beyond the ${dictionary.length} of its dictionary`);
            return text;
        });
    }
}
