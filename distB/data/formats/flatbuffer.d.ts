export declare class Table {
    #private;
    readonly view: DataView;
    readonly at: number;
    constructor(view: DataView, at: number);
    /** The table that some bytes begin with the offset of. */
    static root(bytes: Uint8Array): Table;
    byte(n: number, absent?: number): number;
    int16(n: number): number;
    int32(n: number): number;
    int64(n: number): number;
    table(n: number): Table | undefined;
    text(n: number): string;
    tables(n: number): Table[];
    /** A vector of structs of `words` 64-bit numbers each. */
    structs(n: number, words: number): number[][];
}
