// The one owner of the `fzstd` package.
import { check, Damage } from "./damage.js";

const MAGIC = 0xfd2fb528;
/** The largest window that zstd's own program accepts by default. */
const LARGEST_WINDOW_BYTES = 2 ** 27;

/** Where the frame at `at` ends; its window, which the decoder allocates at once, is bounded here. */
function frameEnd(view: DataView, at: number, size: number): number {
  check(view.getUint32(at, true) === MAGIC, "a Zstandard frame does not begin like one");
  const flags = view.getUint8(at + 4);
  const isOnePiece = (flags & 0x20) !== 0;
  let next = at + 5;
  if (!isOnePiece) {
    const window = view.getUint8(next++);
    const base = 2 ** (10 + (window >> 3));
    const bytes = base + (base / 8) * (window & 7);
    check(bytes <= LARGEST_WINDOW_BYTES, `a Zstandard frame needs a window of ${bytes} bytes`);
  }
  next += [0, 1, 2, 4][flags & 3]!;
  const lengthBytes = [isOnePiece ? 1 : 0, 2, 4, 8][flags >> 6]!;
  if (lengthBytes > 0) {
    let length = lengthBytes === 2 ? 256 : 0;
    for (let i = 0; i < lengthBytes; i++) length += view.getUint8(next + i) * 2 ** (8 * i);
    check(length <= size, "a Zstandard frame is longer than announced");
  }
  next += lengthBytes;
  for (let isLast = false; !isLast; ) {
    const head = view.getUint16(next, true) | (view.getUint8(next + 2) << 16);
    isLast = (head & 1) === 1;
    // A run of one byte is stored as that byte.
    next += 3 + (((head >> 1) & 3) === 1 ? 1 : head >> 3);
  }
  return next + (flags & 4 ? 4 : 0);
}

/** Zstandard frames that hold exactly `size` bytes together. */
export async function unpackZstd(bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) at = frameEnd(view, at, size);
  check(at === bytes.length, "a Zstandard frame ends early");
  const { Decompress } = await import("fzstd");
  // A piece at a time, so that a damaged frame's bytes beyond its size are never held.
  const out = new Uint8Array(size);
  let done = 0;
  const stream = new Decompress((chunk) => {
    check(done + chunk.length <= size, "a Zstandard frame is longer than announced");
    out.set(chunk, done);
    done += chunk.length;
  });
  try {
    stream.push(bytes, true);
  } catch (error) {
    if (error instanceof Damage) throw error;
    throw new Damage(`a Zstandard frame is broken (${(error as Error).message})`);
  }
  check(done === size, "a Zstandard frame is shorter than announced");
  return out;
}
