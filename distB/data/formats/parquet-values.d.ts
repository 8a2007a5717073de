import type { Decode } from "./columnar.js";
/** A part of a page, read from its beginning on. */
export declare class PageBytes {
    #private;
    readonly bytes: Uint8Array;
    at: number;
    constructor(bytes: Uint8Array);
    byte(): number;
    uint32(): number;
    take(length: number): Uint8Array;
    varint(): number;
    zigzag(): number;
}
/** `count` numbers of `width` bits in runs: of one number, or packed by eight. */
export declare function readRuns(bytes: PageBytes, width: number, count: number): number[];
export declare function readPlain(bytes: PageBytes, count: number): Uint8Array[];
/**
 * The values of a page, nulls left out.
 * @param encoding its number in Parquet
 * @param dictionary of the row group's column, if it has one
 */
export declare function readValues(bytes: PageBytes, encoding: number, count: number, dictionary: string[] | undefined, text: Decode): string[];
