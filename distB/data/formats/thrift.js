// Thrift's compact protocol, which Parquet's footer and page headers are written in.
import { check, Damage } from "./damage.js";
import { readVarint, unzigzag } from "./varint.js";
const DEEPEST = 24;
/** The bytes end within a value. */
export class EndsEarly extends Damage {
}
class Reader {
    bytes;
    at = 0;
    constructor(bytes) {
        this.bytes = bytes;
    }
    byte() {
        if (this.at >= this.bytes.length)
            throw new EndsEarly("its metadata ends early");
        return this.bytes[this.at++];
    }
    varint() {
        return readVarint(() => this.byte(), "its metadata");
    }
    zigzag() {
        return unzigzag(this.varint());
    }
    take(length) {
        if (length > this.bytes.length - this.at)
            throw new EndsEarly("its metadata ends early");
        this.at += length;
        return this.bytes.subarray(this.at - length, this.at);
    }
    value(type, depth) {
        check(depth < DEEPEST, "its metadata is nested too deep");
        if (type === 1 || type === 2)
            return this.byte() === 1;
        if (type === 3)
            return (this.byte() << 24) >> 24;
        if (type >= 4 && type <= 6)
            return this.zigzag();
        if (type === 7)
            return this.take(8);
        if (type === 8)
            return this.take(this.varint());
        if (type === 9 || type === 10)
            return this.list(depth);
        if (type === 12)
            return this.struct(depth);
        throw new Damage(`its metadata holds a value of an unknown type, ${type}`);
    }
    list(depth) {
        const head = this.byte();
        const length = head >> 4 === 15 ? this.varint() : head >> 4;
        // Every element takes at least a byte, so that this bounds the loop.
        if (length > this.bytes.length - this.at)
            throw new EndsEarly("a list in its metadata is longer than it");
        const values = [];
        for (let i = 0; i < length; i++)
            values.push(this.value(head & 15, depth + 1));
        return values;
    }
    struct(depth) {
        const fields = new Map();
        let id = 0;
        for (;;) {
            const head = this.byte();
            if (head === 0)
                return fields;
            id = head >> 4 === 0 ? this.zigzag() : id + (head >> 4);
            const type = head & 15;
            // A field's boolean is its type.
            fields.set(id, type === 1 || type === 2 ? type === 1 : this.value(type, depth + 1));
        }
    }
}
/** @returns the struct at the beginning of some bytes, and its length. @throws Damage, EndsEarly */
export function readStruct(bytes) {
    const reader = new Reader(bytes);
    const fields = reader.struct(0);
    return { fields, length: reader.at };
}
export function structOf(value, what) {
    check(value instanceof Map, `${what} is missing from its metadata`);
    return value;
}
export function structsOf(value, what) {
    check(Array.isArray(value), `${what} is missing from its metadata`);
    return value.map((one) => structOf(one, what));
}
