// Writes a GGUF file (version 3): metadata, and tensors that are made one after the other.
import { type FileHandle, open } from "node:fs/promises";
import { writeError } from "../../base/system-errors.js";
import { type EncodedDtype, encodedBytes, encodedType } from "./encode.js";

/** Whole numbers without more words are u32. */
export type MetadataValue = string | boolean | number | { f32: number } | { i32: number[] } | string[];

export interface GgufTensorToWrite {
  name: string;
  /** Innermost dimension last. */
  shape: number[];
  dtype: EncodedDtype;
  /** Its bytes, as they are stored. */
  data(): Promise<Uint8Array> | Uint8Array;
}

const ALIGNMENT = 32;

function number(bytes: number, write: (into: Buffer) => void): Buffer {
  const into = Buffer.alloc(bytes);
  write(into);
  return into;
}

const u32 = (value: number) => number(4, (into) => into.writeUInt32LE(value));
const u64 = (value: number) => number(8, (into) => into.writeBigUInt64LE(BigInt(value)));
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function valueBytes(value: MetadataValue): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(7), Buffer.from([Number(value)])]);
  if (typeof value === "number") return Buffer.concat([u32(4), u32(value)]);
  if (Array.isArray(value)) return Buffer.concat([u32(9), u32(8), u64(value.length), ...value.map(text)]);
  if ("f32" in value) return Buffer.concat([u32(6), number(4, (into) => into.writeFloatLE(value.f32))]);
  const items = number(4 * value.i32.length, (into) => {
    for (const [i, item] of value.i32.entries()) into.writeInt32LE(item, 4 * i);
  });
  return Buffer.concat([u32(9), u32(5), u64(value.i32.length), items]);
}

const padding = (bytes: number) => (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;
const product = (shape: number[]) => shape.reduce((all, n) => all * n, 1);

/**
 * One tensor at a time is in memory.
 * @param onTensor called after each
 * @throws LowrankError E_WRITE
 */
export async function writeGgufFile(
  file: string,
  metadata: Record<string, MetadataValue>,
  tensors: readonly GgufTensorToWrite[],
  onTensor: () => void = () => {},
): Promise<void> {
  const values = Object.entries(metadata).map(([key, value]) => Buffer.concat([text(key), valueBytes(value)]));
  let offset = 0;
  const infos = tensors.map(({ name, shape, dtype }) => {
    const sizes = [...shape].reverse().map(u64);
    const info = Buffer.concat([text(name), u32(shape.length), ...sizes, u32(encodedType(dtype)), u64(offset)]);
    const bytes = encodedBytes(dtype, product(shape));
    offset += bytes + padding(bytes);
    return info;
  });
  const counts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(values.length)];
  const header = Buffer.concat([...counts, ...values, ...infos]);
  try {
    await using output: FileHandle = await open(file, "w");
    await output.writeFile(Buffer.concat([header, Buffer.alloc(padding(header.length))]));
    for (const tensor of tensors) {
      const bytes = await tensor.data();
      await output.writeFile(bytes);
      await output.writeFile(Buffer.alloc(padding(bytes.length)));
      onTensor();
    }
    await output.sync();
  } catch (error) {
    throw writeError(error, file);
  }
}
