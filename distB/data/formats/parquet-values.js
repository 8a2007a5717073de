import { check } from "./damage.js";
import { readVarint, unzigzag } from "./varint.js";
/** A part of a page, read from its beginning on. */
export class PageBytes {
    bytes;
    at = 0;
    #view;
    constructor(bytes) {
        this.bytes = bytes;
        this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    byte() {
        return this.#view.getUint8(this.at++);
    }
    uint32() {
        this.at += 4;
        return this.#view.getUint32(this.at - 4, true);
    }
    take(length) {
        check(length <= this.bytes.length - this.at, "a page ends within a value");
        this.at += length;
        return this.bytes.subarray(this.at - length, this.at);
    }
    varint() {
        return readVarint(() => this.byte(), "a page");
    }
    zigzag() {
        return unzigzag(this.varint());
    }
}
/** `count` numbers of `width` bits each, the lowest bits first, from `bytes` that hold them all. */
function unpackBits(bytes, width, count, add) {
    let bit = 0;
    for (let i = 0; i < count; i++) {
        let value = 0;
        for (let done = 0; done < width;) {
            const offset = bit & 7;
            const take = Math.min(8 - offset, width - done);
            value += ((bytes[bit >> 3] >> offset) & (2 ** take - 1)) * 2 ** done;
            done += take;
            bit += take;
        }
        add(value);
    }
}
/** `count` numbers of `width` bits in runs: of one number, or packed by eight. */
export function readRuns(bytes, width, count) {
    check(width <= 32, `numbers of ${width} bits in a page`);
    const values = [];
    while (values.length < count) {
        const head = bytes.varint();
        const left = count - values.length;
        check(head > 1, "an empty run in a page");
        if (head % 2 === 0) {
            const stored = bytes.take(Math.ceil(width / 8));
            const value = stored.reduceRight((sum, byte) => sum * 256 + byte, 0);
            for (let i = Math.min(head / 2, left); i > 0; i--)
                values.push(value);
        }
        else {
            const packed = Math.min(((head - 1) / 2) * 8, Math.ceil(left / 8) * 8);
            unpackBits(bytes.take((packed / 8) * width), width, Math.min(packed, left), (value) => values.push(value));
        }
    }
    return values;
}
/** Numbers as differences, packed in blocks of miniblocks (DELTA_BINARY_PACKED); they are lengths here. */
function readDeltas(bytes, most) {
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
            if (values.length >= count)
                break;
            check(width <= 64, `numbers of ${width} bits in a page`);
            const packed = bytes.take((perMiniblock / 8) * width);
            unpackBits(packed, width, Math.min(perMiniblock, count - values.length), (delta) => {
                // Differences of 32-bit numbers wrap around.
                value = (value + smallest + delta) | 0;
                values.push(value);
            });
        }
    }
    for (const length of values)
        check(length >= 0, "a negative length in a page");
    return values;
}
export function readPlain(bytes, count) {
    check(count * 4 <= bytes.bytes.length, "a page is too short for its values");
    return Array.from({ length: count }, () => bytes.take(bytes.uint32()));
}
function readDeltaLengths(bytes, count) {
    const lengths = readDeltas(bytes, count);
    check(lengths.length === count, `a page holds ${lengths.length} lengths for ${count} values`);
    return lengths.map((length) => bytes.take(length));
}
/** Every value begins with some bytes of the one before. @param mostBytes bound of all values together */
function readDeltaStrings(bytes, count, mostBytes) {
    const prefixes = readDeltas(bytes, count);
    const suffixes = readDeltaLengths(bytes, count);
    check(prefixes.length === count, `a page holds ${prefixes.length} prefixes for ${count} values`);
    let before = new Uint8Array(0);
    let sum = 0;
    return suffixes.map((suffix, i) => {
        const prefix = prefixes[i];
        check(prefix <= before.length, "a value repeats more than the one before has");
        sum += prefix + suffix.length;
        check(sum <= mostBytes, "the values of a page are too long together");
        before = Buffer.concat([before.subarray(0, prefix), suffix]);
        return before;
    });
}
/** Values of shared beginnings may unpack to a multiple of their page. */
const MOST_SHARED_BYTES = 2 ** 30;
/**
 * The values of a page, nulls left out.
 * @param encoding its number in Parquet
 * @param dictionary of the row group's column, if it has one
 */
export function readValues(bytes, encoding, count, dictionary, text) {
    if (encoding === 0)
        return readPlain(bytes, count).map(text);
    if (encoding === 6)
        return readDeltaLengths(bytes, count).map(text);
    if (encoding === 7)
        return readDeltaStrings(bytes, count, MOST_SHARED_BYTES).map(text);
    check(encoding === 2 || encoding === 8, `a page has an encoding that texts cannot have, ${encoding}`);
    check(dictionary !== undefined, "a page refers to a dictionary that is not there");
    if (count === 0)
        return [];
    return readRuns(bytes, bytes.byte(), count).map((i) => {
        const value = dictionary[i];
        check(value !== undefined, `a page refers to entry ${i} of a dictionary of ${dictionary.length}`);
        return value;
    });
}
