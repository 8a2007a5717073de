import { open } from "node:fs/promises";
import { LowrankError } from "../base/errors.js";
import { writeError } from "../base/system-errors.js";
import { elementBytes } from "./safetensors.js";

export interface TensorToWrite {
  name: string;
  /** As the file spells it: "F32", "BF16", "F16", ... */
  dtype: string;
  shape: number[];
  bytes: number;
  /** Row-major, little-endian; a function is called when its turn comes, so that one tensor at a time is in memory. */
  data: Uint8Array | (() => Promise<Uint8Array>);
}

/** Large elements first, then by name, as the reference orders them: each tensor is aligned to its elements. */
function inFileOrder(tensors: TensorToWrite[]): TensorToWrite[] {
  const size = ({ dtype }: TensorToWrite) => elementBytes(dtype) ?? 0;
  return [...tensors].sort((a, b) => size(b) - size(a) || (a.name < b.name ? -1 : 1));
}

/** Header length and header, padded with spaces to a multiple of 8 bytes. */
export function safetensorsHeader(
  tensors: Pick<TensorToWrite, "name" | "dtype" | "shape" | "bytes">[],
  metadata: Record<string, string>,
): Buffer {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const begin = at;
    at += bytes;
    return [name, { dtype, shape, data_offsets: [begin, at] }] as const;
  });
  // fromEntries keeps the order of names that are not array indices, which tensor names never are.
  const json = Buffer.from(JSON.stringify(Object.fromEntries([["__metadata__", metadata], ...entries])));
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return header;
}

/** Small tensors are written together: each write is a way to a thread and back. */
const WRITTEN_BYTES = 1 << 20;

/**
 * Writes the file under its final name and flushes it to the disk. After an error the caller removes the unfinished file.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function writeSafetensors(
  file: string,
  tensors: TensorToWrite[],
  metadata: Record<string, string>,
): Promise<void> {
  const ordered = inFileOrder(tensors);
  try {
    await using output = await open(file, "w");
    let pending: Uint8Array[] = [safetensorsHeader(ordered, metadata)];
    let pendingBytes = pending[0]!.byteLength;
    const write = async () => {
      await output.writeFile(pending.length === 1 ? pending[0]! : Buffer.concat(pending));
      pending = [];
      pendingBytes = 0;
    };
    for (const { name, bytes, data } of ordered) {
      const content = typeof data === "function" ? await data() : data;
      if (content.byteLength !== bytes) {
        throw new LowrankError(
          "E_INTERNAL",
          `${file}: tensor ${name} has ${content.byteLength} bytes, expected ${bytes}.`,
        );
      }
      if (pendingBytes > 0 && pendingBytes + bytes > WRITTEN_BYTES) await write();
      pending.push(content);
      pendingBytes += bytes;
      // A large one is not kept while the next is made.
      if (pendingBytes >= WRITTEN_BYTES) await write();
    }
    if (pendingBytes > 0) await write();
    await output.sync();
  } catch (error) {
    throw writeError(error, file);
  }
}
