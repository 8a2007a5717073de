import type { Format, ReadOptions } from "./format.js";
/** A file's extension without that of its packing, .jsonl of train.jsonl.gz; undefined where it cannot be read. */
export declare function dataExtension(file: string): string | undefined;
/** All extensions of the format that has this one. */
export declare function extensionsBeside(extension: string): string[];
/** The extensions that can be read, for an error. */
export declare function knownExtensions(): string;
/** @throws LowrankError E_FILE_MISSING, E_FILE, E_DATA_FORMAT, E_GZIP */
export declare function formatOf(file: string, options: ReadOptions): Promise<Format>;
