import { LowrankError } from "../../base/errors.js";
import { type ReadOptions } from "./format.js";
/** Behind the end of a JSON text whose opening quote is at `at`; Infinity where it does not end. */
export declare function afterText(text: string, at: number): number;
/** A row as JSON.parse gives it, NaN being -0, and a large one's arrays and objects being empty. @throws SyntaxError */
export declare function parse(text: string): unknown;
/** Makes an error of the parser's reason and its 1-based place in what was parsed. */
export type Fail = (reason: string, at: {
    line: number;
    column: number;
}, cause?: unknown) => LowrankError;
/** A row as `parse` gives it. @throws what `fail` makes of the parser's reason */
export declare function parseValue(text: string, fail: Fail): unknown;
/**
 * The wanted value of a row.
 * @param text that the row was parsed from @param place the file with line or row
 * @throws LowrankError E_DATA_ROW, E_TEXT_COLUMN
 */
export declare function wantedValue(row: unknown, text: string, { column }: ReadOptions, place: string, file: string): unknown;
