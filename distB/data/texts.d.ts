import type { Format, ReadOptions } from "./formats/format.js";
/** The texts of some files, in order. */
export declare class TextRows {
    #private;
    readonly files: string[];
    get length(): number;
    text(i: number): string;
    /** Where a text comes from: "train.jsonl, line 12". */
    where(i: number): string;
    begin(file: string, unit: Format["unit"]): void;
    add(text: string, at: number): void;
}
/** Some texts of a file, in order. */
export interface TextBlock {
    file: string;
    /** What `at` counts. */
    unit: Format["unit"];
    rows: {
        text: string;
        at: number;
    }[];
}
/**
 * The texts of every file, a block at a time; the extension says how a file is read. No file is held whole.
 * @param files as `dataFiles` gives them
 * @param warn called with what is odd and no error: a file without texts beside others that have some
 * @throws LowrankError naming the file and its line or row
 */
export declare function textBlocks(files: string[], options: ReadOptions, warn?: (message: string) => void): AsyncGenerator<TextBlock, void, undefined>;
/**
 * Where some texts of files come from: "train.jsonl, line 12". Reads the files again up to the last of them.
 * @param numbers of texts, counted from 0, in order
 */
export declare function placesOf(files: string[], options: ReadOptions, numbers: number[]): Promise<string[]>;
/**
 * The texts of every file, held in memory.
 * @param names files, folders and patterns, see `dataFiles`
 * @param from the column that holds the text, or all that decides how files are read
 * @throws LowrankError naming the file and its line or row
 */
export declare function readTexts(names: string[], from: string | ReadOptions): Promise<TextRows>;
