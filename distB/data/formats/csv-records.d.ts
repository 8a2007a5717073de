import { LowrankError } from "../../base/errors.js";
import type { Separator } from "./format.js";
export declare const SEPARATORS: Record<Separator, string>;
/** Advice where fields seem to be separated by another character. */
export declare function separatorAdvice(separator: string): string | undefined;
export declare class Records {
    #private;
    /** @param take called with each record, whose fields can be read until it returns */
    constructor(file: string, separator: Separator, quotes: boolean, most: number, take: (record: Records) => void);
    /** The line that the record begins in. */
    get line(): number;
    get fields(): number;
    /** @throws LowrankError E_UTF8 */
    text(field: number): string;
    /** Whether each line of the record could be a record of so many fields itself, if quotes had no meaning. */
    hasRecordsIn(fields: number): boolean;
    problem(found: string, line?: number): LowrankError;
    /** @throws LowrankError E_CSV, E_TEXT_SIZE */
    push(chunk: Buffer): void;
    /** The file has ended. @throws LowrankError E_CSV */
    end(): void;
}
