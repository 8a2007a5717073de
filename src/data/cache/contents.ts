// The contents of a cache file, and the check that they are the bytes that were written.
import { crc32 } from "node:zlib";
import { type Block, columnsOf, isSound } from "../tokenise/block.js";
import { ResidentPages } from "./resident-pages.js";

/** The sources of a file: its schema's metadata, under these names. */
export interface Provenance {
  format_version: string;
  tokenizer_sha256: string;
  /** JSON of the options that decide the tokens, besides texts and tokenizer. */
  options: string;
  /** JSON list of the files that the texts were first read from. */
  sources: string;
}

/** Known only when all texts were read. */
export interface Content {
  /** Hash of the texts. */
  sha256: string;
  /** Largest of all tokens; -1 where there is none. */
  largestId: number;
  /** Checksum of all other numbers here, see `Checksum`. */
  crc32: number;
}

export interface Contents {
  provenance: Provenance;
  content: Content;
  blocks: Block[];
}

/** CRC-32 of blocks in order, then of the facts about them. */
export class Checksum {
  #crc = 0;

  add(block: Block): void {
    for (const { buffer, byteOffset, byteLength } of columnsOf(block)) {
      this.#crc = crc32(new Uint8Array(buffer, byteOffset, byteLength), this.#crc);
    }
  }

  end(about: Provenance, { sha256, largestId }: Omit<Content, "crc32">): number {
    const { format_version, tokenizer_sha256, options, sources } = about;
    return crc32(JSON.stringify([format_version, tokenizer_sha256, options, sources, sha256, largestId]), this.#crc);
  }
}

/** Reads all of a mapped file. @returns whether it holds the bytes that were written */
export function isWhole(buffer: ArrayBuffer, { provenance, content, blocks }: Contents): boolean {
  const pages = new ResidentPages(buffer);
  const checksum = new Checksum();
  for (const block of blocks) {
    if (!isSound(block)) return false;
    checksum.add(block);
    for (const column of columnsOf(block)) pages.touch(column);
  }
  return checksum.end(provenance, content) === content.crc32;
}
