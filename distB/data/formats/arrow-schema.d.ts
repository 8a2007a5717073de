import type { Table } from "./flatbuffer.js";
export type TextType = "utf8" | "large_utf8" | "utf8_view";
/** What a batch has for some columns: entries in its lists of nodes, buffers and counts of views' buffers. */
interface Extent {
    nodes: number;
    buffers: number;
    views: number;
}
export interface TextColumn {
    type: TextType;
    /** What lies before it in a batch. */
    before: Extent;
    dictionary?: {
        id: number;
        indexBytes: number;
        isSigned: boolean;
    };
}
/**
 * @param version of the metadata
 * @throws LowrankError E_TEXT_COLUMN, E_DATA_ROW for a column that holds no texts, Damage
 */
export declare function findColumn(schema: Table, version: number, name: string, file: string): TextColumn;
export {};
