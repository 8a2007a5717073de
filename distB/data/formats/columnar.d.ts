import type { Format } from "./format.js";
import { RandomAccess } from "./random-access.js";
export type Texts = (string | null)[];
/** A text of UTF-8 bytes. @throws LowrankError E_UTF8 */
export type Decode = (bytes: Uint8Array) => string;
/**
 * @param kind what the files are called in an error: "Parquet"
 * @param read the texts of a column, some rows at a time; throws Damage where the bytes are broken
 */
export declare function columnar(kind: string, extensions: string[], read: (source: RandomAccess, column: string, decode: Decode) => AsyncIterable<Texts>): Format;
