/** A failed `JSON.parse` of `text`: 1-based line and column, and the parser's reason. */
export declare function jsonProblem(error: unknown, text: string): {
    line: number;
    column: number;
    reason: string;
};
/** 1-based line and column of a text's character. */
export declare function placeIn(text: string, at: number): {
    line: number;
    column: number;
};
/** @throws LowrankError E_JSON with file, line and column */
export declare function parseJson(text: string, file: string): unknown;
export declare function isObject(value: unknown): value is Record<string, unknown>;
/** What a value is, for an error: "null", "an array", "the number 3". */
export declare function kindOf(value: unknown): string;
/** A JSON file that holds an object, of at most `most` bytes. @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8, E_JSON */
export declare function readJsonObject(file: string, what?: string, most?: number): Record<string, unknown>;
