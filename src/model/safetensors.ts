// safetensors: 8 bytes header length, a JSON header, the tensors' bytes. The header is untrusted input: its numbers are
// checked against the file's size before anybody believes them.
import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, readSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { isObject, kindOf } from "../base/json.js";
import { openRegular, readError } from "../base/system-errors.js";
import { members } from "./members.js";
import { repeatedNames } from "./repeated.js";

/** Bytes of one element; the sub-byte types have no whole number and no users here. */
const ELEMENT_BYTES: Record<string, number> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
};

/** The reference's limit of the header, in bytes. */
const LARGEST_HEADER = 100_000_000;

export interface SafetensorsTensor {
  file: string;
  name: string;
  /** As the file spells it: "F32", "BF16", "F16", ... */
  dtype: string;
  shape: number[];
  /** Absolute byte offsets in the file. */
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  /** Tensors in the order of their bytes, which follow each other without gaps from `dataBegin` to the file's end. */
  tensors: SafetensorsTensor[];
  metadata: Record<string, string>;
  dataBegin: number;
  fileBytes: number;
}

const METADATA = "__metadata__";
/** The metadata of a header that has none. */
const NO_METADATA: Record<string, string> = {};

type Fail = (message: string) => LowrankError;

/** Bytes of one element of a dtype as the file spells it, undefined for an unknown one. */
export function elementBytes(dtype: string): number | undefined {
  return Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype] : undefined;
}

/** @throws LowrankError E_FILE_MISSING, E_FILE, E_SAFETENSORS */
export function readSafetensorsHeader(file: string): SafetensorsHeader {
  const fail: Fail = (message) => new LowrankError("E_SAFETENSORS", `${file}: ${message}`, file);
  const { header, fileBytes } = readHeaderBytes(file, fail);
  const dataBegin = 8 + header.length;
  const tensors: SafetensorsTensor[] = [];
  let metadata: unknown = NO_METADATA;
  for (const [name, entry] of headerMembers(header, fail)) {
    if (name !== METADATA) tensors.push(readTensor(name, entry, { file, dataBegin }, fail));
    else if (metadata === NO_METADATA) metadata = entry;
    else throw standsTwice(name, fail);
  }
  for (const name of repeatedNames(tensors)) throw standsTwice(name, fail);
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    throw fail("__metadata__ in the header must be an object of texts. The file is damaged.");
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkRanges(tensors, dataBegin, fileBytes, fail);
  return { tensors, metadata: { ...metadata } as Record<string, string>, dataBegin, fileBytes };
}

function readHeaderBytes(file: string, fail: Fail): { header: Buffer; fileBytes: number } {
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(file);
    const fileBytes = fstatSync(descriptor).size;
    const prefix = Buffer.alloc(8);
    if (readSync(descriptor, prefix, 0, 8, 0) < 8) {
      throw fail(`the file has ${fileBytes} bytes, too few for a safetensors file. Download it again.`);
    }
    const length = prefix.readBigUInt64LE();
    if (length > LARGEST_HEADER) {
      throw fail(
        `the header's length is given as ${length} bytes, more than the allowed ${LARGEST_HEADER}. This is no safetensors file.`,
      );
    }
    const header = Buffer.alloc(Number(length));
    if (8 + header.length > fileBytes || readSync(descriptor, header, 0, header.length, 8) < header.length) {
      throw fail(
        `the header should end at byte ${8 + header.length}, but the file has ${fileBytes} bytes: it is cut short. Download it again.`,
      );
    }
    return { header, fileBytes };
  } catch (error) {
    throw readError(error, file);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function* headerMembers(header: Buffer, fail: Fail): Generator<[string, unknown]> {
  if (!isUtf8(header)) throw notJson("it is no UTF-8", fail);
  const text = header.toString("utf8");
  const first = /^\s*[^\s{]/.exec(text);
  try {
    if (first)
      throw fail(`the header is ${kindOf(JSON.parse(text))}, expected an object. This is no safetensors file.`);
    yield* members(text);
  } catch (error) {
    throw error instanceof SyntaxError ? notJson(error.message, fail) : error;
  }
}

const notJson = (reason: string, fail: Fail) =>
  fail(`the header is not valid JSON (${reason}). This is no safetensors file, or it is damaged.`);

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const standsTwice = (name: string, fail: Fail) =>
  fail(`tensor ${JSON.stringify(name)} stands twice in the header. The file is damaged.`);

function readTensor(
  name: string,
  entry: unknown,
  { file, dataBegin }: { file: string; dataBegin: number },
  fail: Fail,
): SafetensorsTensor {
  const bad = (message: string) => fail(`tensor ${JSON.stringify(name)}: ${message}. The file is damaged.`);
  if (!isObject(entry)) throw bad(`its entry is ${kindOf(entry)}, expected an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string") throw bad(`dtype is ${kindOf(dtype)}, expected a text`);
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw bad(`shape is ${JSON.stringify(shape)}, expected a list of whole numbers that are not negative`);
  }
  const [begin, end, ...more] = Array.isArray(offsets) ? (offsets as unknown[]) : [];
  if (!isSize(begin) || !isSize(end) || end < begin || more.length > 0) {
    throw bad(`data_offsets are ${JSON.stringify(offsets)}, expected [begin, end]`);
  }
  const elements = shape.reduce((product, n) => product * n, 1);
  if (!Number.isSafeInteger(elements)) throw bad(`shape ${JSON.stringify(shape)} has too many elements`);
  const bytes = end - begin;
  const each = elementBytes(dtype);
  // A type of a later version of the format is nobody's concern unless the model uses that tensor.
  if (each !== undefined && bytes !== elements * each) {
    throw bad(`it occupies ${bytes} bytes, expected ${elements * each} for ${dtype} ${JSON.stringify(shape)}`);
  }
  return { file, name, dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}

/** Every byte after the header belongs to exactly one tensor. */
function checkRanges(tensors: SafetensorsTensor[], dataBegin: number, fileBytes: number, fail: Fail): void {
  let at = dataBegin;
  for (const { name, begin, end } of tensors) {
    if (begin < at) throw fail(`tensor ${JSON.stringify(name)} overlaps the one before it. The file is damaged.`);
    if (begin > at) {
      throw fail(`${begin - at} bytes before tensor ${JSON.stringify(name)} belong to no tensor. The file is damaged.`);
    }
    at = end;
  }
  if (at > fileBytes) {
    throw fail(`the file is cut short: it has ${fileBytes} bytes, expected ${at}. Download it again.`);
  }
  if (at < fileBytes) {
    throw fail(`the file has ${fileBytes} bytes, expected ${at}: ${fileBytes - at} bytes too many. Download it again.`);
  }
}
