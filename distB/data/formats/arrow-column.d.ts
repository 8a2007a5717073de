import type { TextColumn } from "./arrow-schema.js";
import type { Decode, Texts } from "./columnar.js";
import type { Table } from "./flatbuffer.js";
import type { RandomAccess } from "./random-access.js";
export declare class BatchReader {
    #private;
    readonly source: RandomAccess;
    readonly bodyAt: number;
    readonly bodyBytes: number;
    readonly text: Decode;
    readonly rows: number;
    /** @param bodyAt where in the file the batch's buffers are, `bodyBytes` together */
    constructor(source: RandomAccess, batch: Table, bodyAt: number, bodyBytes: number, text: Decode);
    /** The texts of a column, or of a dictionary, which is the only column of its batch. */
    texts(column: TextColumn): Promise<Texts>;
    /** The texts that a column's indices stand for. */
    lookUp(column: TextColumn, dictionary: Texts): Promise<Texts>;
}
