// The header of a GGUF file (versions 2 and 3): metadata and where each tensor lies. It is untrusted input: every count and
// length is held against the file's size before anything of that size is made.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { LowrankError } from "../../errors.js";
import { readError } from "../../system-errors.js";

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
}

export interface GgufHeader {
  file: string;
  fileBytes: number;
  metadata: Map<string, GgufValue>;
  tensors: GgufTensor[];
}

const MAGIC = 0x46554747;
const CHUNK = 1 << 20;
const LONGEST_TEXT = 1 << 24;
/** Of metadata, tensors, and dimensions. */
const LARGEST_COUNT = 1 << 20;
const MOST_DIMENSIONS = 4;
const DEEPEST = 2;

/** Bytes of the scalar types by their number; 8 is a text, 9 an array. */
const SCALAR_BYTES: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const TEXT = 8;
const ARRAY = 9;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads forward through a file, some of it at a time. */
class Cursor {
  readonly #descriptor: number;
  readonly #size: number;
  readonly #fail: (what: string) => LowrankError;
  #chunk = Buffer.alloc(0);
  #chunkAt = 0;
  at = 0;

  constructor(descriptor: number, size: number, fail: (what: string) => LowrankError) {
    this.#descriptor = descriptor;
    this.#size = size;
    this.#fail = fail;
  }

  get left(): number {
    return this.#size - this.at;
  }

  take(bytes: number, what: string): Buffer {
    if (bytes > this.left) throw this.#fail(`ends within ${what}: it is cut short`);
    if (this.at + bytes > this.#chunkAt + this.#chunk.length) {
      this.#chunk = Buffer.alloc(Math.min(Math.max(CHUNK, bytes), this.left));
      this.#chunkAt = this.at;
      readSync(this.#descriptor, this.#chunk, 0, this.#chunk.length, this.at);
    }
    const begin = this.at - this.#chunkAt;
    this.at += bytes;
    return this.#chunk.subarray(begin, begin + bytes);
  }

  u32(what: string): number {
    return this.take(4, what).readUInt32LE();
  }

  u64(what: string): number {
    const value = this.take(8, what).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#fail(`has ${value} for ${what}, which cannot be right`);
    return Number(value);
  }

  count(what: string, bytesOfEach: number): number {
    const n = this.u64(what);
    if (n > LARGEST_COUNT || n * bytesOfEach > this.left)
      throw this.#fail(`has ${n} for ${what}, more than the file can hold`);
    return n;
  }

  text(what: string): string {
    const length = this.u64(`the length of ${what}`);
    if (length > LONGEST_TEXT) throw this.#fail(`has a text of ${length} bytes for ${what}`);
    try {
      return utf8.decode(this.take(length, what));
    } catch (error) {
      if (error instanceof LowrankError) throw error;
      throw this.#fail(`has a text that is not UTF-8 for ${what}`);
    }
  }

  scalar(type: number, what: string): GgufValue {
    const bytes = this.take(SCALAR_BYTES[type]!, what);
    const readers: Record<number, () => number | bigint> = {
      0: () => bytes.readUInt8(),
      1: () => bytes.readInt8(),
      2: () => bytes.readUInt16LE(),
      3: () => bytes.readInt16LE(),
      4: () => bytes.readUInt32LE(),
      5: () => bytes.readInt32LE(),
      6: () => bytes.readFloatLE(),
      7: () => bytes.readUInt8(),
      10: () => bytes.readBigUInt64LE(),
      11: () => bytes.readBigInt64LE(),
      12: () => bytes.readDoubleLE(),
    };
    const value = Number(readers[type]!());
    return type === 7 ? value !== 0 : value;
  }

  value(type: number, what: string, depth = 0): GgufValue {
    if (type === TEXT) return this.text(what);
    if (type !== ARRAY) {
      if (!Object.hasOwn(SCALAR_BYTES, type)) throw this.#fail(`has a value of the unknown type ${type} for ${what}`);
      return this.scalar(type, what);
    }
    if (depth === DEEPEST) throw this.#fail(`has lists within lists within lists for ${what}`);
    const of = this.u32(what);
    const n = this.count(`the length of ${what}`, of === TEXT ? 8 : of === ARRAY ? 12 : (SCALAR_BYTES[of] ?? 1));
    return Array.from({ length: n }, () => this.value(of, what, depth + 1));
  }
}

/** @throws LowrankError E_FILE_MISSING, E_FILE, E_GGUF */
export function readGgufHeader(file: string): GgufHeader {
  const fail = (what: string) => new LowrankError("E_GGUF", `${file} ${what}. Download it again.`, file);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    const fileBytes = fstatSync(descriptor).size;
    return { file, fileBytes, ...readParts(new Cursor(descriptor, fileBytes, fail), fail) };
  } catch (error) {
    throw error instanceof LowrankError ? error : readError(error, file, "Model");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readParts(cursor: Cursor, fail: (what: string) => LowrankError): Pick<GgufHeader, "metadata" | "tensors"> {
  if (cursor.u32("the magic number") !== MAGIC) throw fail("is no GGUF file: it does not begin with GGUF");
  const version = cursor.u32("the version");
  if (version !== 2 && version !== 3) {
    const isBig = version === 0x03000000 || version === 0x02000000;
    throw fail(isBig ? "is big-endian, expected little-endian" : `is of GGUF version ${version}, expected 2 or 3`);
  }
  const tensorCount = cursor.count("the number of tensors", 24);
  const valueCount = cursor.count("the number of metadata", 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < valueCount; i++) {
    const key = cursor.text("a key");
    if (metadata.has(key)) throw fail(`has the key ${key} twice`);
    metadata.set(key, cursor.value(cursor.u32(key), key));
  }
  const tensors: GgufTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.text("a tensor's name");
    if (names.has(name)) throw fail(`has the tensor ${name} twice`);
    names.add(name);
    const dimensions = cursor.u32(name);
    if (dimensions < 1 || dimensions > MOST_DIMENSIONS)
      throw fail(`has ${dimensions} dimensions for tensor ${name}, expected 1 to ${MOST_DIMENSIONS}`);
    const shape = Array.from({ length: dimensions }, () => cursor.u64(name)).reverse();
    if (shape.some((n) => n < 1)) throw fail(`has an empty dimension for tensor ${name}`);
    tensors.push({ name, shape, type: cursor.u32(name), offset: cursor.u64(name) });
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || alignment < 1 || alignment > CHUNK || !Number.isInteger(alignment))
    throw fail(`has general.alignment ${alignment}, expected a whole number`);
  const begin = Math.ceil(cursor.at / alignment) * alignment;
  for (const tensor of tensors) {
    if (tensor.offset % alignment !== 0)
      throw fail(`has tensor ${tensor.name} at byte ${tensor.offset} of its data, which is not aligned`);
    tensor.offset += begin;
  }
  return { metadata, tensors };
}
