import { type TextEnd } from "../text-end.js";
import type { EncodeOptions } from "./encode.js";
/** What happens to a text of more than `maxLength` tokens: it is cut, or becomes several examples. */
export type LongText = "truncate" | "chunk";
export interface TokeniseOptions {
    maxLength: number;
    longText: LongText;
    /** Null where texts are tokenised as they are. */
    end: TextEnd | null;
}
/** Some examples, one after the other: a record batch of a cache file, or what becomes one. */
export interface Block {
    inputIds: Int32Array;
    /** Of each token: not 0 where it is to be learned. */
    lossMask: Uint8Array;
    /** Where each example begins, and the end of the last. */
    offsets: Int32Array;
    /** Of each example: how many of its tokens are learned. Nothing comes before its first, which therefore never is. */
    supervised: Int32Array;
    /** Number of each example's text among all, from 0. */
    rows: Uint32Array;
}
/** Whether every example lies within its block. */
export declare function isSound({ inputIds, lossMask, offsets, supervised, rows }: Block): boolean;
/** Lengths of the examples that a text of so many tokens becomes; none is a single token that nothing could be learned from. */
export declare function chunkLengths(tokens: number, maxLength: number): number[];
interface Encoder {
    encode(texts: string[], options: EncodeOptions): Promise<Int32Array[]>;
}
/**
 * A blank text, of white space alone, becomes an example without tokens.
 * @param firstRow number of the first text among all
 */
export declare function tokeniseBlock(encoder: Encoder, texts: string[], firstRow: number, { maxLength, longText, end }: TokeniseOptions): Promise<Block>;
export {};
