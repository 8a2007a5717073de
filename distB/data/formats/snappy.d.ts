/** A raw Snappy block that holds exactly `size` bytes. */
export declare function unpackSnappy(bytes: Uint8Array, size: number): Uint8Array;
