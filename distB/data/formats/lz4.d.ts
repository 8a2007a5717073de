/**
 * Unpacks a block behind the first `at` bytes of `out`, which matches may reach back into.
 * @returns the end of what was written
 */
export declare function unpackLz4Block(block: Uint8Array, out: Uint8Array, at?: number): number;
/** A block of exactly `size` bytes. */
export declare function unpackLz4(block: Uint8Array, size: number): Uint8Array;
/** What Parquet's first LZ4 codec is: Hadoop's blocks, or as some writers took it a block alone. pyarrow tries both, too. */
export declare function unpackOldLz4(bytes: Uint8Array, size: number): Uint8Array;
/** One LZ4 frame that holds exactly `size` bytes. */
export declare function unpackLz4Frame(bytes: Uint8Array, size: number): Uint8Array;
