import { LowrankError } from "../../base/errors.js";
/**
 * A file's text in UTF-8, a chunk at a time; UTF-16 is known by its byte order mark. Whether it is valid UTF-8 is left
 * to those who know the line.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP, E_DATA_FORMAT, E_UTF8
 */
export declare function readUtf8(file: string): AsyncGenerator<Buffer, void, undefined>;
/** The error of bytes that are not UTF-8. @param place the file, with line or row */
export declare function notUtf8(place: string, file: string): LowrankError;
