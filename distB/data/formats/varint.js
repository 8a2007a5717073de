import { Damage } from "./damage.js";
/** Bytes of the longest number of 64 bits. */
const MOST_BYTES = 10;
/**
 * An unsigned number in base 128, its lowest digits first. Beyond 2^53 rounded, which no count, size or offset of a file
 * can be.
 * @param where for the error, "a page" @throws Damage
 */
export function readVarint(nextByte, where) {
    let value = 0;
    for (let i = 0; i < MOST_BYTES; i++) {
        const byte = nextByte();
        value += (byte & 127) * 2 ** (7 * i);
        if (byte < 128)
            return value;
    }
    throw new Damage(`a number in ${where} does not end`);
}
/** The signed number that an unsigned one stands for: 0, -1, 1, -2, ... */
export function unzigzag(value) {
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
