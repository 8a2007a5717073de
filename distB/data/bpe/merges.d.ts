/** The merges of a vocabulary in memory that threads can share. */
export interface MergeTable {
    /** Token of each of the 256 bytes, -1 where there is none. */
    bytes: Int32Array;
    /** A hash table with open addressing, `SLOT` numbers a slot; a power of two of them. */
    slots: Int32Array;
}
/** @param pairs left, right and resulting token of each merge, in the order of their ranks */
export declare function mergeTable(bytes: Int32Array, pairs: [number, number, number][]): MergeTable;
export declare class Merges {
    #private;
    constructor({ bytes, slots }: MergeTable);
    /**
     * Tokens of a word: of all pairs side by side the one of the lowest rank is merged, the leftmost of several, and again.
     * @returns null where a byte has no token
     */
    encode(word: Uint8Array): Int32Array | null;
}
