// What a cache file holds, and how it is known to be what was written.
import { crc32 } from "node:zlib";
import { isSound } from "./block.js";
import { Residence } from "./residence.js";
/** Each in the same order, whoever made the object. */
export const columnsOf = ({ inputIds, lossMask, offsets, supervised, rows }) => [inputIds, lossMask, offsets, supervised, rows];
/** CRC-32 of blocks in order, then of the facts about them. */
export class Checksum {
    #crc = 0;
    add(block) {
        for (const { buffer, byteOffset, byteLength } of columnsOf(block)) {
            this.#crc = crc32(new Uint8Array(buffer, byteOffset, byteLength), this.#crc);
        }
    }
    end(about, { sha256, largestId }) {
        const { format_version, tokenizer_sha256, options, sources } = about;
        return crc32(JSON.stringify([format_version, tokenizer_sha256, options, sources, sha256, largestId]), this.#crc);
    }
}
/** Reads all of a mapped file. @returns whether it is what was written */
export function isWhole(buffer, { provenance, content, blocks }) {
    const residence = new Residence(buffer);
    const checksum = new Checksum();
    for (const block of blocks) {
        if (!isSound(block))
            return false;
        checksum.add(block);
        for (const column of columnsOf(block))
            residence.touch(column);
    }
    return checksum.end(provenance, content) === content.crc32;
}
