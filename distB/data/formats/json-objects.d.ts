import type { ReadOptions } from "./format.js";
/** A value of the file, the text that it was parsed from, and the line that it begins in. */
export interface Parsed {
    value: unknown;
    text: string;
    at: number;
}
/**
 * The values of a file, some at a time.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8, E_JSON, E_TEXT_SIZE
 */
export declare function readObjects(file: string, options: ReadOptions): AsyncGenerator<Parsed[]>;
