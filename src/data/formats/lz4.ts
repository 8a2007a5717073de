// LZ4: the block format, the frames that Arrow wraps blocks in, and Hadoop's, which the first LZ4 of Parquet is.
import { check, Damage } from "./damage.js";

const MAGIC = 0x184d2204;
const SHORTEST_MATCH = 4;

/**
 * Unpacks a block behind the first `at` bytes of `out`, which matches may reach back into.
 * @returns the end of the unpacked bytes
 */
export function unpackLz4Block(block: Uint8Array, out: Uint8Array, at = 0): number {
  let from = 0;
  let to = at;
  const more = (length: number) => {
    if (length < 15) return length;
    let sum = length;
    let byte = 255;
    while (byte === 255) {
      check(from < block.length, "an LZ4 block ends early");
      byte = block[from++]!;
      sum += byte;
    }
    return sum;
  };
  while (from < block.length) {
    const token = block[from++]!;
    const literals = more(token >> 4);
    check(from + literals <= block.length, "an LZ4 block ends early");
    check(to + literals <= out.length, "an LZ4 block is longer than announced");
    out.set(block.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    if (from === block.length) break;
    check(from + 2 <= block.length, "an LZ4 block ends early");
    const back = block[from]! | (block[from + 1]! << 8);
    from += 2;
    const length = more(token & 15) + SHORTEST_MATCH;
    check(back > 0 && back <= to, "an LZ4 block refers to bytes before its beginning");
    check(to + length <= out.length, "an LZ4 block is longer than announced");
    // Byte by byte: a match may overlap with its own output.
    for (const end = to + length; to < end; to++) out[to] = out[to - back]!;
  }
  return to;
}

/** A block of exactly `size` bytes. */
export function unpackLz4(block: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  check(unpackLz4Block(block, out) === size, "an LZ4 block is shorter than announced");
  return out;
}

/** Blocks of exactly `size` bytes together, each behind both its lengths, the unpacked one first; highest byte first. */
function unpackHadoop(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Uint8Array(size);
  let done = 0;
  for (let at = 0; at < bytes.length; ) {
    check(at + 8 <= bytes.length, "an LZ4 block ends early");
    const [unpacked, packed] = [view.getUint32(at), view.getUint32(at + 4)];
    at += 8;
    check(packed <= bytes.length - at && unpacked <= size - done, "an LZ4 block is longer than announced");
    out.set(unpackLz4(bytes.subarray(at, at + packed), unpacked), done);
    at += packed;
    done += unpacked;
  }
  check(done === size, "LZ4 blocks are shorter than announced");
  return out;
}

/** Parquet's first LZ4 codec: Hadoop's blocks, or by some writers a block alone. pyarrow tries both, too. */
export function unpackOldLz4(bytes: Uint8Array, size: number): Uint8Array {
  try {
    return unpackHadoop(bytes, size);
  } catch (error) {
    if (!(error instanceof Damage || error instanceof RangeError)) throw error;
    return unpackLz4(bytes, size);
  }
}

/** One LZ4 frame that holds exactly `size` bytes. */
export function unpackLz4Frame(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  check(view.getUint32(0, true) === MAGIC, "an LZ4 frame does not begin like one");
  const flags = view.getUint8(4);
  check(flags >> 6 === 1 && (flags & 1) === 0, "an LZ4 frame has an unknown version or a dictionary");
  const hasChecksum = (flags & 0x10) !== 0;
  // Magic, flags, block size, perhaps the content's size, checksum of these.
  let at = 4 + 2 + (flags & 0x08 ? 8 : 0) + 1;
  const out = new Uint8Array(size);
  let done = 0;
  for (;;) {
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const length = word & 0x7fffffff;
    check(at + length <= bytes.length, "an LZ4 frame ends early");
    const block = bytes.subarray(at, at + length);
    at += length + (hasChecksum ? 4 : 0);
    if (word >>> 31) {
      check(done + length <= size, "an LZ4 frame is longer than announced");
      out.set(block, done);
      done += length;
    } else {
      done = unpackLz4Block(block, out, done);
    }
  }
  check(done === size, "an LZ4 frame is shorter than announced");
  return out;
}
