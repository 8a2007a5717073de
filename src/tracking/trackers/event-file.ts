// TensorBoard's event files: records of TFRecord (tensorflow/core/lib/io/record_writer.h) that hold Event messages
// (tensorflow/core/util/event.proto). Only scalars and the two messages that begin a file are written.
import { closeSync, openSync, writeSync } from "node:fs";
import { writeError } from "../../base/system-errors.js";
import { double, float, integer, part } from "./protobuf.js";

/** The polynomial of CRC-32C (Castagnoli), reflected. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? POLYNOMIAL ^ (value >>> 1) : value >>> 1;
  return value;
});

export function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return ~value >>> 0;
}

/** The checksum as TFRecord stores it, masked: a plain checksum of bytes that hold checksums would be weak. */
function masked(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const stored = Buffer.alloc(4);
  stored.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return stored;
}

/** An Event: wall_time, step and one of file_version, summary, session_log. */
const event = (step: number, what: Buffer) => Buffer.concat([double(1, Date.now() / 1000), integer(2, step), what]);

const FILE_VERSION = part(3, "brain.Event:2");
/** SessionLog.START: readers forget the points of earlier files from the event's step on. */
const SESSION_START = part(7, integer(1, 1));
/** Summary.Value with simple_value: the newer form is none of the scalars of `EventAccumulator`. */
const scalar = (tag: string, value: number) => part(1, Buffer.concat([part(1, tag), float(2, value)]));

export class EventFile {
  readonly #path: string;
  #fd: number | null;

  /**
   * @param firstStep of this file: points of earlier files of the folder from there on no longer count
   * @throws LowrankError E_WRITE, also where the file is there
   */
  constructor(path: string, firstStep: number) {
    this.#path = path;
    this.#fd = this.#attempt(() => openSync(path, "wx"));
    this.#write(event(firstStep, FILE_VERSION));
    this.#write(event(firstStep, SESSION_START));
  }

  /** Numbers by their tags, rounded to f32. @throws LowrankError E_WRITE */
  scalars(step: number, values: Record<string, number>): void {
    const list = Object.entries(values).map(([tag, value]) => scalar(tag, value));
    if (list.length > 0) this.#write(event(step, part(5, Buffer.concat(list))));
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** A record: length, its checksum, the data, their checksum. */
  #write(data: Buffer): void {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(data.length));
    const record = Buffer.concat([length, masked(length), data, masked(data)]);
    this.#attempt(() => {
      for (let at = 0; at < record.length; ) at += writeSync(this.#fd!, record, at);
    });
  }

  #attempt<T>(f: () => T): T {
    try {
      return f();
    } catch (error) {
      throw writeError(error, this.#path);
    }
  }
}
