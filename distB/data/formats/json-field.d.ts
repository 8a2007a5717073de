/** What to do about an object that is larger than any row; nothing where it holds neither rows nor columns. */
export declare function adviceOnLarge(file: string, column: string): Promise<string>;
export declare const AS_RECORDS = "write it by to_json(path, orient=\"records\", lines=True)";
export declare const TABLE_ADVICE = "If this is a table by columns, as pandas' to_json(path) writes it, write it by to_json(path, orient=\"records\", lines=True)";
/** @param lists keys that hold arrays */
export declare function fieldAdvice(lists: string[]): string;
/** Where the chunks of an array begin in its file, counted from 1. */
export interface Start {
    line: number;
    column: number;
}
/**
 * The file from the array under a key on.
 * @param start becomes the array's place before the first chunk comes
 * @throws LowrankError E_JSON_FIELD
 */
export declare function chunksFrom(file: string, field: string, start: Start): AsyncGenerator<Buffer>;
