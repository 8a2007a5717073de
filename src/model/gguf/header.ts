// The header of a GGUF file (versions 2 and 3): metadata and where each tensor lies. It is untrusted input: every count and
// length is held against the file's size before anything of that size is made.
import { closeSync, fstatSync, readSync } from "node:fs";
import { LowrankError } from "../../base/errors.js";
import { openRegular, readError } from "../../base/system-errors.js";
import { tensorType } from "./types.js";

/** A metadata value. Whole numbers of 64 bits are numbers here: no number that matters is beyond 2^53. */
export type GgufValue = number | boolean | string | GgufValue[];

export interface GgufTensor {
  name: string;
  /** Innermost dimension last, as everywhere else. */
  shape: number[];
  /** Number of ggml's type. */
  type: number;
  /** Absolute, in bytes. */
  offset: number;
  /** undefined where the type cannot be read; else it lies within the file from `offset` on. */
  bytes: number | undefined;
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
/** Longest name of keys and tensors, in bytes. */
const LONGEST_NAME = (1 << 16) - 1;
/** Largest number of metadata, tensors, and dimensions. */
const LARGEST_COUNT = 1 << 20;
const MOST_DIMENSIONS = 4;
const DEEPEST = 2;

interface Scalar {
  bytes: number;
  read(from: Buffer): number | boolean;
}

/** The scalar types by their number. */
const SCALARS: readonly (Scalar | undefined)[] = [
  { bytes: 1, read: (from) => from.readUInt8() },
  { bytes: 1, read: (from) => from.readInt8() },
  { bytes: 2, read: (from) => from.readUInt16LE() },
  { bytes: 2, read: (from) => from.readInt16LE() },
  { bytes: 4, read: (from) => from.readUInt32LE() },
  { bytes: 4, read: (from) => from.readInt32LE() },
  { bytes: 4, read: (from) => from.readFloatLE() },
  { bytes: 1, read: (from) => from.readUInt8() !== 0 },
  undefined,
  undefined,
  { bytes: 8, read: (from) => Number(from.readBigUInt64LE()) },
  { bytes: 8, read: (from) => Number(from.readBigInt64LE()) },
  { bytes: 8, read: (from) => from.readDoubleLE() },
];
const TEXT = 8;
const ARRAY = 9;

/** The least that an element of an array takes. */
function leastBytes(type: number): number {
  if (type === TEXT) return 8;
  return type === ARRAY ? 12 : (SCALARS[type]?.bytes ?? 1);
}

type Fail = (what: string, advice?: string) => LowrankError;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads forward through a file, some of it at a time. */
class Cursor {
  readonly #descriptor: number;
  readonly #size: number;
  readonly #fail: Fail;
  #chunk = Buffer.alloc(0);
  #chunkAt = 0;
  at = 0;

  constructor(descriptor: number, size: number, fail: Fail) {
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
      fill(this.#descriptor, this.#chunk, this.at, this.#fail);
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

  text(what: string, longest = LONGEST_TEXT): string {
    const length = this.u64(`the length of ${what}`);
    if (length > longest) throw this.#fail(`has a text of ${length} bytes for ${what}, expected ${longest} at most`);
    try {
      return utf8.decode(this.take(length, what));
    } catch (error) {
      if (error instanceof LowrankError) throw error;
      throw this.#fail(`has a text that is not UTF-8 for ${what}`);
    }
  }

  value(type: number, what: string, depth = 0): GgufValue {
    if (type === TEXT) return this.text(what);
    if (type === ARRAY) return this.#array(what, depth);
    const scalar = SCALARS[type];
    if (!scalar) throw this.#fail(`has a value of the unknown type ${type} for ${what}`);
    return scalar.read(this.take(scalar.bytes, what));
  }

  #array(what: string, depth: number): GgufValue[] {
    if (depth === DEEPEST) throw this.#fail(`has lists within lists within lists for ${what}`);
    const of = this.u32(what);
    const n = this.count(`the length of ${what}`, leastBytes(of));
    return Array.from({ length: n }, () => this.value(of, what, depth + 1));
  }
}

/** Reads all of `into` from byte `at` on: a file can become shorter while it is read. */
export function fill(descriptor: number, into: Uint8Array, at: number, fail: Fail): void {
  for (let done = 0; done < into.length; ) {
    const read = readSync(descriptor, into, done, into.length - done, at + done);
    if (read === 0) throw fail(`ends at byte ${at + done}: it is cut short`);
    done += read;
  }
}

/**
 * Versions 2 and 3, little-endian. The weights are not read.
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_GGUF naming file, key or tensor
 */
export function readGgufHeader(file: string): GgufHeader {
  const fail: Fail = (what, advice = "Download it again.") =>
    new LowrankError("E_GGUF", `${file} ${what}. ${advice}`, file);
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(file, "Model");
    const fileBytes = fstatSync(descriptor).size;
    const cursor = new Cursor(descriptor, fileBytes, fail);
    const counts = readCounts(cursor, fail);
    const metadata = readMetadata(cursor, counts.metadata, fail);
    const tensors = readTensors(cursor, counts.tensors, fail);
    const header = { file, fileBytes, metadata, tensors };
    placeTensors(header, cursor.at, fail);
    return header;
  } catch (error) {
    throw readError(error, file, "Model");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readCounts(cursor: Cursor, fail: Fail): { tensors: number; metadata: number } {
  if (cursor.u32("the magic number") !== MAGIC)
    throw fail("is no GGUF file: it does not begin with GGUF", "Name a model's .gguf file.");
  const version = cursor.u32("the version");
  if (version === 0x03000000 || version === 0x02000000)
    throw fail("is big-endian, expected little-endian", "Use the little-endian file of the model.");
  if (version !== 2 && version !== 3)
    throw fail(`is of GGUF version ${version}, expected 2 or 3`, "Use a file of one of these versions.");
  return { tensors: cursor.count("the number of tensors", 24), metadata: cursor.count("the number of metadata", 13) };
}

function readMetadata(cursor: Cursor, count: number, fail: Fail): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.text("a key", LONGEST_NAME);
    if (metadata.has(key)) throw fail(`has the key ${key} twice`);
    metadata.set(key, cursor.value(cursor.u32(key), key));
  }
  return metadata;
}

/** Offsets as the file has them, from the data's begin on. */
function readTensors(cursor: Cursor, count: number, fail: Fail): GgufTensor[] {
  const names = new Set<string>();
  return Array.from({ length: count }, () => {
    const name = cursor.text("a tensor's name", LONGEST_NAME);
    if (names.has(name)) throw fail(`has the tensor ${name} twice`);
    names.add(name);
    const dimensions = cursor.u32(name);
    if (dimensions < 1 || dimensions > MOST_DIMENSIONS)
      throw fail(`has ${dimensions} dimensions for tensor ${name}, expected 1 to ${MOST_DIMENSIONS}`);
    const shape = Array.from({ length: dimensions }, () => cursor.u64(name)).reverse();
    if (shape.some((n) => n < 1)) throw fail(`has an empty dimension for tensor ${name}`);
    return { name, shape, type: cursor.u32(name), offset: cursor.u64(name), bytes: undefined };
  });
}

/** Makes the offsets absolute, and holds every tensor against the file's size. */
function placeTensors({ file, fileBytes, metadata, tensors }: GgufHeader, headerBytes: number, fail: Fail): void {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || alignment < 1 || alignment > CHUNK || !Number.isInteger(alignment))
    throw fail(`has general.alignment ${JSON.stringify(alignment).slice(0, 80)}, expected a whole number`);
  const begin = Math.ceil(headerBytes / alignment) * alignment;
  for (const tensor of tensors) {
    const { name, shape } = tensor;
    const wrong = (what: string) =>
      new LowrankError("E_GGUF", `${file}: tensor ${name} ${what}. Download the file again.`, name);
    if (tensor.offset % alignment !== 0)
      throw wrong(`lies at byte ${tensor.offset} of the data, expected a multiple of ${alignment}`);
    tensor.offset += begin;
    const { name: type, stored } = tensorType(tensor.type);
    if (stored) {
      if (shape.at(-1)! % stored.elements !== 0)
        throw wrong(`has rows of ${shape.at(-1)} elements, but ${type} is stored in blocks of ${stored.elements}`);
      tensor.bytes = (shape.reduce((product, n) => product * n, 1) / stored.elements) * stored.bytes;
    }
    const end = tensor.offset + (tensor.bytes ?? 0);
    if (end > fileBytes) throw wrong(`ends at byte ${end} of a file of ${fileBytes}: the file is cut short`);
  }
}
