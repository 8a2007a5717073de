/** Bytes that cannot be what they should be. The message says what was found: "a page is longer than its column". */
export declare class Damage extends Error {
}
export declare function check(right: boolean, found: string): asserts right;
/** A count, size or offset that must be a whole number from 0 to `most`. */
export declare function checkedSize(value: unknown, most: number, what: string): number;
/** An error of a decoder in words; what is none remains. @param kind "Parquet" or "Arrow" */
export declare function damageError(error: unknown, file: string, kind: string): unknown;
