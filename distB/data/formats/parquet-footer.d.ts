import type { RandomAccess } from "./random-access.js";
/** The wanted column in one row group. */
export interface Chunk {
    codec: number;
    rows: number;
    /** Its pages in the file. */
    start: number;
    end: number;
    /** All its pages together, unpacked. */
    unpackedBytes: number;
}
export interface TextColumn {
    isOptional: boolean;
    chunks: Chunk[];
}
/** @throws LowrankError E_TEXT_COLUMN, E_DATA_ROW for a column that holds no texts, Damage */
export declare function findColumn(source: RandomAccess, name: string): Promise<TextColumn>;
