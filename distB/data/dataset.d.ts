import type { Batch } from "../native/index.js";
import type { TokenTable } from "./cache/index.js";
export interface DatasetOptions {
    /** Every sequence is padded to so many tokens with `padId`. */
    padTo?: number;
    padId?: number;
    /** Short examples share an item of at most so many tokens. They stay apart: each is a sequence of its own. */
    packTo?: number;
}
export interface MicroBatch {
    batch: Batch;
    /** Tokens to be predicted. */
    supervisedTokens: number;
    /** Tokens of the texts, padding not counted. */
    tokens: number;
}
/** Some examples of a table in items: an example each, or several where they are packed. */
export declare class TokenDataset {
    #private;
    /** @param examples their numbers in the table: of `learnable` ones */
    constructor(table: TokenTable, examples: Int32Array, { padTo, padId, packTo }?: DatasetOptions);
    /** Number of items. */
    get length(): number;
    /** Number of examples, packed or not. */
    get examples(): number;
    /** Of all examples. */
    get counts(): {
        texts: number;
        tokens: number;
    };
    /** Tokens of an item. */
    tokens(position: number): number;
    /** Tokens of all items. */
    get allTokens(): number;
    /** How many items of at most so many tokens its examples would make. */
    packs(packTo: number): number;
    /** First tokens of an item's first example. */
    beginning(position: number, tokens: number): Int32Array;
    /** The items at these positions as one ragged micro-batch. Its sequences are views: nothing is copied. */
    batch(positions: ArrayLike<number>): MicroBatch;
}
