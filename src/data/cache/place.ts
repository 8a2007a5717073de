// Where a cache file's columns lie in it. Arrow's own footer says so, too; reading that takes the whole `apache-arrow` package,
// whose loading takes many times as long as opening the file.
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { Provenance } from "./arrow.js";
import { isSound, type Part } from "./part.js";
import { Residence } from "./residence.js";

/** Of a column: its first byte, and how many numbers it has. */
const column = z.tuple([z.int().min(0), z.int().min(0)]);
const schema = z.object({
  /** Of the cache file. */
  bytes: z.int(),
  provenance: z.record(z.string(), z.string()),
  parts: z.array(z.object({ inputIds: column, lossMask: column, offsets: column, rows: column })),
});

export interface Contents {
  provenance: Provenance;
  parts: Part[];
}

/** @param file its own, beside the cache file */
export function notePlaces(file: string, buffer: ArrayBuffer, { provenance, parts }: Contents): void {
  const place = (view: Int32Array | Uint8Array | Uint32Array) => [view.byteOffset, view.length];
  const places = parts.map(({ inputIds, lossMask, offsets, rows }) => ({
    inputIds: place(inputIds),
    lossMask: place(lossMask),
    offsets: place(offsets),
    rows: place(rows),
  }));
  try {
    writeFileSync(file, JSON.stringify({ bytes: buffer.byteLength, provenance, parts: places }));
  } catch {
    // It is a shortcut only.
  }
}

/** Null where there is no such note, or it is not of this file. */
export function readPlaces(file: string, buffer: ArrayBuffer): Contents | null {
  try {
    const { bytes, provenance, parts: places } = schema.parse(JSON.parse(readFileSync(file, "utf8")));
    if (bytes !== buffer.byteLength) return null;
    const residence = new Residence(buffer);
    const parts: Part[] = [];
    for (const { inputIds, lossMask, offsets, rows } of places) {
      const part = {
        inputIds: new Int32Array(buffer, ...inputIds),
        lossMask: new Uint8Array(buffer, ...lossMask),
        offsets: new Int32Array(buffer, ...offsets),
        rows: new Uint32Array(buffer, ...rows),
      };
      if (!isSound(part)) return null;
      for (const column of Object.values(part)) residence.touch(column);
      parts.push(part);
    }
    return { provenance: provenance as unknown as Provenance, parts };
  } catch {
    return null;
  }
}
