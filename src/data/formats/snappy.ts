import { check } from "./damage.js";

const EARLY = "a Snappy block ends early";

/** A raw Snappy block that holds exactly `size` bytes. */
export function unpackSnappy(bytes: Uint8Array, size: number): Uint8Array {
  let from = 0;
  const little = (count: number) => {
    check(from + count <= bytes.length, EARLY);
    let value = 0;
    for (let i = 0; i < count; i++) value += bytes[from++]! * 2 ** (8 * i);
    return value;
  };
  let announced = 0;
  for (let shift = 0, byte = 128; byte >= 128; shift += 7) {
    check(shift < 35, "a Snappy block's length is broken");
    byte = little(1);
    announced += (byte & 127) * 2 ** shift;
  }
  check(announced === size, `a Snappy block announces ${announced} bytes, its page ${size}`);
  const out = new Uint8Array(size);
  let to = 0;
  while (from < bytes.length) {
    const tag = little(1);
    const kind = tag & 3;
    if (kind === 0) {
      const short = tag >> 2;
      const length = (short < 60 ? short : little(short - 59)) + 1;
      check(from + length <= bytes.length, EARLY);
      check(to + length <= size, "a Snappy block is longer than announced");
      out.set(bytes.subarray(from, from + length), to);
      from += length;
      to += length;
      continue;
    }
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const back = kind === 1 ? (tag >> 5) * 256 + little(1) : little(kind === 2 ? 2 : 4);
    check(back > 0 && back <= to, "a Snappy block refers to bytes before its beginning");
    check(to + length <= size, "a Snappy block is longer than announced");
    // Byte by byte: a copy may overlap with its own output.
    for (const end = to + length; to < end; to++) out[to] = out[to - back]!;
  }
  check(to === size, "a Snappy block is shorter than announced");
  return out;
}
