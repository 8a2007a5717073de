// Protocol buffers' encoding, as far as trackers need it.

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    const low = Number(rest & 127n);
    if (rest < 128n) return Buffer.from([...bytes, low]);
    bytes.push(low | 128);
  }
}

const key = (field: number, kind: number) => varint(8 * field + kind);

/** Fields of messages, by their numbers. */
export function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, FIXED64!), bytes]);
}

export function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32!), bytes]);
}

export const integer = (field: number, value: number) => Buffer.concat([key(field, VARINT!), varint(value)]);

export function part(field: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([key(field, LENGTH!), varint(bytes.length), bytes]);
}
