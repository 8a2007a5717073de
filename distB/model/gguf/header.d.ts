import { LowrankError } from "../../base/errors.js";
/** What a metadata value can be. Whole numbers of 64 bits are numbers here: nothing that counts is beyond 2^53. */
export type GgufValue = number | boolean | string | GgufValue[];
export interface GgufTensor {
    name: string;
    /** Innermost dimension last, as everywhere else. */
    shape: number[];
    /** Number of ggml's type. */
    type: number;
    /** Absolute, in bytes. */
    offset: number;
    /** undefined where the type cannot be read; else it lies within the file from `offset` on. */
    bytes: number | undefined;
}
export interface GgufHeader {
    file: string;
    fileBytes: number;
    metadata: Map<string, GgufValue>;
    tensors: GgufTensor[];
}
type Fail = (what: string, advice?: string) => LowrankError;
/** Reads all of `into` from byte `at` on: a file can become shorter while it is read. */
export declare function fill(descriptor: number, into: Uint8Array, at: number, fail: Fail): void;
/**
 * Versions 2 and 3, little-endian. The weights are not read.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GGUF naming file, key or tensor
 */
export declare function readGgufHeader(file: string): GgufHeader;
export {};
