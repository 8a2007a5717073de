import type { ReadOptions } from "./format.js";
export interface Line {
    /** Without its end. */
    text: string;
    /** Counted from 1. */
    number: number;
}
/**
 * Lines of a text file, a chunk of the file at a time. Each may end in a line feed, a carriage return or both. Of empty lines
 * that follow each other only the first of a chunk is given; all are counted.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8 and E_TEXT_SIZE with the line
 */
export declare function readLines(file: string, options: ReadOptions): AsyncGenerator<Line[], void, undefined>;
