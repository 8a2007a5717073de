// The note beside a cache file: its contents, the places of its columns, and the checksum. Arrow's own footer names the places, too. But
// reading it takes the whole `apache-arrow` package. The package loads for longer than the file opens, and a damaged file can stop it for
// ever.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { Contents } from "./contents.js";

/** A column: its first byte, and the number of its elements. */
const column = z.tuple([z.int().min(0), z.int().min(0)]);
const text = z.string();
const schema = z.object({
  /** Size of the cache file. */
  bytes: z.int(),
  provenance: z.object({ format_version: text, tokenizer_sha256: text, options: text, sources: text }),
  content: z.object({ sha256: text, largestId: z.int(), crc32: z.int() }),
  blocks: z.array(z.object({ inputIds: column, lossMask: column, offsets: column, supervised: column, rows: column })),
});

/** @param temporary another name in the same folder: a reader sees a whole note or none */
export function writeNote(file: string, temporary: string, buffer: ArrayBuffer, contents: Contents): void {
  const place = (view: Int32Array | Uint8Array | Uint32Array) => [view.byteOffset, view.length];
  const blocks = contents.blocks.map(({ inputIds, lossMask, offsets, supervised, rows }) => ({
    inputIds: place(inputIds),
    lossMask: place(lossMask),
    offsets: place(offsets),
    supervised: place(supervised),
    rows: place(rows),
  }));
  try {
    writeFileSync(temporary, JSON.stringify({ ...contents, bytes: buffer.byteLength, blocks }));
    renameSync(temporary, file);
  } catch {
    // Without it the cache file is made anew next time.
  }
}

/** Null where there is no such note, or none of this file. Whether it is right is for `isWhole` to say. */
export function readNote(file: string, buffer: ArrayBuffer): Contents | null {
  try {
    const { bytes, blocks, ...about } = schema.parse(JSON.parse(readFileSync(file, "utf8")));
    if (bytes !== buffer.byteLength) return null;
    return {
      ...about,
      blocks: blocks.map(({ inputIds, lossMask, offsets, supervised, rows }) => ({
        inputIds: new Int32Array(buffer, ...inputIds),
        lossMask: new Uint8Array(buffer, ...lossMask),
        offsets: new Int32Array(buffer, ...offsets),
        supervised: new Int32Array(buffer, ...supervised),
        rows: new Uint32Array(buffer, ...rows),
      })),
    };
  } catch {
    return null;
  }
}
