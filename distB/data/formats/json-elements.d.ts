import type { ReadOptions } from "./format.js";
/** A value of an array, and the text that it was parsed from. */
export interface Element {
    value: unknown;
    text: string;
}
/**
 * The values of an array, some at a time: of the file, or under the key `jsonField` of the object that it is.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8, E_JSON, E_JSON_FIELD, E_TEXT_SIZE
 */
export declare function readElements(file: string, options: ReadOptions): AsyncGenerator<Element[]>;
