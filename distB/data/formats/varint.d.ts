/**
 * An unsigned number in base 128, its lowest digits first. Beyond 2^53 rounded, which no count, size or offset of a file
 * can be.
 * @param where for the error, "a page" @throws Damage
 */
export declare function readVarint(nextByte: () => number, where: string): number;
/** The signed number that an unsigned one stands for: 0, -1, 1, -2, ... */
export declare function unzigzag(value: number): number;
