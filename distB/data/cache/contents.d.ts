import { type Block } from "./block.js";
/** What a file was made from: its schema's metadata, under these names. */
export interface Provenance {
    format_version: string;
    tokenizer_sha256: string;
    /** JSON of what decides the tokens besides texts and tokenizer. */
    options: string;
    /** JSON list of the files that the texts were first read from. */
    sources: string;
}
/** Known only when all texts were read. */
export interface Content {
    /** Of the texts. */
    sha256: string;
    /** Of all tokens; -1 where there is none. */
    largestId: number;
    /** Of everything else here, see `Checksum`. */
    crc32: number;
}
export interface Contents {
    provenance: Provenance;
    content: Content;
    blocks: Block[];
}
/** Each in the same order, whoever made the object. */
export declare const columnsOf: ({ inputIds, lossMask, offsets, supervised, rows }: Block) => readonly [Int32Array<ArrayBufferLike>, Uint8Array<ArrayBufferLike>, Int32Array<ArrayBufferLike>, Int32Array<ArrayBufferLike>, Uint32Array<ArrayBufferLike>];
/** CRC-32 of blocks in order, then of the facts about them. */
export declare class Checksum {
    #private;
    add(block: Block): void;
    end(about: Provenance, { sha256, largestId }: Omit<Content, "crc32">): number;
}
/** Reads all of a mapped file. @returns whether it is what was written */
export declare function isWhole(buffer: ArrayBuffer, { provenance, content, blocks }: Contents): boolean;
