import type { Tokenizer } from "../tokenizer.js";
import type { TokeniseOptions } from "./block.js";
import { type TextSource } from "./sources.js";
import type { TokenTable } from "./table.js";
export interface CacheOptions extends Omit<TokeniseOptions, "end"> {
    tokenizer: Tokenizer;
    /** Whether each text ends with the tokenizer's end token. */
    addEos: boolean;
    /** The cache folder; made where it is missing. */
    folder: string;
    /** Bytes that the cache may hold; what was used longest ago is removed. */
    limit: number;
    threads: number;
    /** Called after each block that was tokenised. */
    onProgress?: ((done: Tokenised) => void) | undefined;
    signal?: AbortSignal | undefined;
    warn?: ((message: string) => void) | undefined;
}
/** How far tokenising is. */
export interface Tokenised {
    texts: number;
    tokens: number;
    /** Of the texts, in UTF-8. */
    bytes: number;
}
/**
 * The tokens of some texts. The cache file's name is the hash of the texts, the tokenizer and the options, whatever files
 * the texts came from; files that have not changed since are not read again.
 * @throws LowrankError of reading and tokenising, E_WRITE naming the cache file
 */
export declare function tokenTable(source: TextSource, options: CacheOptions): Promise<TokenTable>;
