/** Zstandard frames that hold exactly `size` bytes together. */
export declare function unpackZstd(bytes: Uint8Array, size: number): Promise<Uint8Array>;
