// Writes GGUF files.
import { writeFileSync } from "node:fs";

export type MetaValue =
  | string
  | boolean
  | { u32: number }
  | { f32: number }
  | { u64: bigint }
  | string[]
  | number[]
  | { raw: Buffer };

export interface TensorToWrite {
  name: string;
  /** Innermost last. */
  shape: number[];
  /** Number of ggml's type. */
  type: number;
  data: Uint8Array;
}

const u32 = (n: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
};
const u64 = (n: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(n));
  return bytes;
};
export const text = (s: string) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);

function valueBytes(value: MetaValue): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(7), Buffer.from([Number(value)])]);
  if (Array.isArray(value)) {
    const items = value.map((item) => {
      if (typeof item === "string") return text(item);
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(item);
      return bytes;
    });
    return Buffer.concat([u32(9), u32(typeof value[0] === "number" ? 5 : 8), u64(value.length), ...items]);
  }
  if ("u32" in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ("u64" in value) return Buffer.concat([u32(10), u64(value.u64)]);
  if ("raw" in value) return value.raw;
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value.f32);
  return Buffer.concat([u32(6), bytes]);
}

/** @param alignment where it is not 32, `metadata` has to say so in general.alignment */
export function ggufBytes(
  metadata: Record<string, MetaValue>,
  tensors: TensorToWrite[],
  { version = 3, alignment = 32 } = {},
): Buffer {
  const padded = (bytes: Uint8Array) =>
    Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
  let offset = 0;
  const infos = tensors.map(({ name, shape, type, data }) => {
    const info = Buffer.concat([
      text(name),
      u32(shape.length),
      ...[...shape].reverse().map(u64),
      u32(type),
      u64(offset),
    ]);
    offset += padded(data).length;
    return info;
  });
  const values = Object.entries(metadata).map(([key, value]) => Buffer.concat([text(key), valueBytes(value)]));
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(version),
    u64(tensors.length),
    u64(values.length),
    ...values,
    ...infos,
  ]);
  return Buffer.concat([padded(header), ...tensors.map(({ data }) => padded(data))]);
}

export function writeGguf(file: string, metadata: Record<string, MetaValue>, tensors: TensorToWrite[]): string {
  writeFileSync(file, ggufBytes(metadata, tensors));
  return file;
}

/** Metadata of a llama of one block, width 64. */
export const ONE_BLOCK: Record<string, MetaValue> = {
  "general.architecture": "llama",
  "llama.block_count": { u32: 1 },
  "llama.context_length": { u32: 64 },
  "llama.embedding_length": { u32: 64 },
  "llama.feed_forward_length": { u32: 96 },
  "llama.attention.head_count": { u32: 4 },
  "llama.attention.head_count_kv": { u32: 2 },
  "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
};
