// Whether the head is the embedding: config.json decides, and the weights may disagree.
import { closeSync, readSync } from "node:fs";
import { openRegular, readError } from "../base/system-errors.js";
import type { ModelConfig, PlainDtype, TensorEntry } from "../native/index.js";
import type { FamilyNames } from "./families/index.js";
import type { Warn } from "./warn.js";
import { widen } from "./widen.js";

const CHUNK_ELEMENTS = 1 << 20;
const BYTES: Record<PlainDtype, number> = { f32: 4, bf16: 2, f16: 2 };

const isPlain = (dtype: string): dtype is PlainDtype => Object.hasOwn(BYTES, dtype);

/** The numbers `begin` to `begin + count` of a tensor, as they are stored. */
function readPart(
  descriptor: number,
  { offset }: TensorEntry,
  dtype: PlainDtype,
  begin: number,
  count: number,
): Buffer {
  const bytes = Buffer.alloc(count * BYTES[dtype]);
  readSync(descriptor, bytes, 0, bytes.length, offset + begin * BYTES[dtype]);
  return bytes;
}

function withOpen<T>(file: string, use: (descriptor: number) => T): T {
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(file, "Weights");
    return use(descriptor);
  } catch (error) {
    throw readError(error, file, "Weights");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Whether two plain tensors hold the same numbers, in whatever dtypes; reads no further than the first difference. */
function sameNumbers(a: TensorEntry, b: TensorEntry): boolean {
  if (!isPlain(a.dtype) || !isPlain(b.dtype) || String(a.shape) !== String(b.shape)) return false;
  const { dtype: first } = a;
  const { dtype: second } = b;
  const elements = a.shape.reduce((product, n) => product * n, 1);
  const chunk = (of: number, tensor: TensorEntry, dtype: PlainDtype, at: number, count: number) => {
    const bytes = readPart(of, tensor, dtype, at, count);
    return first === second ? bytes : Buffer.from(widen(new Uint8Array(bytes), dtype).buffer);
  };
  return withOpen(a.file, (one) =>
    withOpen(b.file, (other) => {
      for (let at = 0; at < elements; at += CHUNK_ELEMENTS) {
        const count = Math.min(CHUNK_ELEMENTS, elements - at);
        if (!chunk(one, a, first, at, count).equals(chunk(other, b, second, at, count))) return false;
      }
      return true;
    }),
  );
}

/**
 * Configuration and tensors with the head that transformers 5 gives the model. Under a configuration that ties head and embedding: where both are
 * stored and differ, the head is its own; where one is stored, it is the other, too.
 * @throws LowrankError E_FILE
 */
export function resolveHead(
  names: FamilyNames,
  model: { config: ModelConfig; tensors: TensorEntry[] },
  file: string,
  warn: Warn,
): { config: ModelConfig; tensors: TensorEntry[] } {
  const { config, tensors } = model;
  if (!config.tieWordEmbeddings) return model;
  const [embedding, head] = [names.embedding, names.head].map((name) => tensors.find((tensor) => tensor.name === name));
  if (!head) return model;
  if (!embedding) return { config, tensors: [...tensors, { ...head, name: names.embedding }] };
  if (sameNumbers(embedding, head)) return model;
  warn(
    `${file}: tie_word_embeddings is true, but ${head.file} holds an ${names.head} that differs from ${names.embedding}: the stored head is used, as in transformers 5. Set tie_word_embeddings to false.`,
  );
  return { tensors, config: { ...config, tieWordEmbeddings: false } };
}
