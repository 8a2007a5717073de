import { LowrankError } from "../../base/errors.js";
import type { ReadOptions } from "./format.js";
/** 64 MiB: above any text that is one example, and so little that a reader needs less than a gigabyte (docs/data.md). */
export declare const MOST_TEXT_BYTES: number;
export declare function mostBytes(options: ReadOptions): number;
/** @param what is too long: "a line" @param advice what to do about it */
export declare function tooLong(place: string, what: string, most: number, file: string, advice?: string): LowrankError;
/** Pieces of something that goes on in the next chunk of the file. */
export declare class Pieces {
    #private;
    /** @param problem the error if they are together longer than `most` bytes */
    constructor(most: number, problem: () => LowrankError);
    get isEmpty(): boolean;
    add(piece: Buffer): void;
    /** All, with a last one; then there are none. */
    take(last: Buffer): Buffer;
}
