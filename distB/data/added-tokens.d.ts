export interface AddedToken {
    content: string;
    special: boolean;
    singleWord: boolean;
    leftStrip: boolean;
    rightStrip: boolean;
    normalized: boolean;
}
export interface AddedTokens {
    /** Texts of all. */
    contents: string[];
    /** Of those, the ones that a decoded text leaves out. */
    special: ReadonlySet<string>;
    /** Those that tokenizer.json does not have, in the order of their ids. */
    extra: AddedToken[];
    /** Ids as the files beside tokenizer.json have them. */
    claimed: {
        id: number;
        content: string;
        file: string;
    }[];
}
/**
 * All added tokens of a tokenizer.
 * @param file tokenizer.json
 * @throws LowrankError E_FILE, E_JSON, E_TOKENIZER naming file and key
 */
export declare function readAddedTokens(file: string): AddedTokens;
