export declare function isGzip(file: string): boolean;
/** A file's bytes, a chunk at a time. @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP */
export declare function readChunks(file: string): AsyncGenerator<Buffer, void, undefined>;
