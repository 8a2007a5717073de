// Numbers as ggml stores them. The encoders make the bits of ggml's reference, which those of the gguf package are, too; q4_k is searched in
// double precision, where ggml takes f32, and may differ in a code.

export type EncodedDtype = "f32" | "f16" | "bf16" | "q8_0" | "q4_0" | "q4_k";

interface Encoding {
  /** Number of ggml's type. */
  type: number;
  /** Elements of a block, and its bytes. */
  elements: number;
  bytes: number;
  /** @param from first element of the block @param at first byte of it */
  block(values: Float32Array, from: number, into: DataView, at: number): void;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

function bitsOf(value: number): number {
  scratch[0] = value;
  return scratchBits[0]!;
}

/** To the nearest bf16, ties to even. */
function bf16Bits(value: number): number {
  const bits = bitsOf(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** To the nearest f16, ties to even; beyond its range infinity. */
export function f16Bits(value: number): number {
  const bits = bitsOf(value);
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return sign | 0x7e00;
  if (rest >= 0x477ff000) return sign | 0x7c00;
  if (rest < 0x38800000) {
    // Below the normal numbers: multiples of 2^-24.
    const size = Math.abs(value) * 2 ** 24;
    return sign | halfToEven(size);
  }
  const rounded = rest + 0xfff + ((rest >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

function halfToEven(value: number): number {
  const below = Math.floor(value);
  const part = value - below;
  return part > 0.5 || (part === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** The f16 as a number again. */
function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const BLOCK = 32;

function q8_0(values: Float32Array, from: number, into: DataView, at: number): void {
  let most = 0;
  for (let i = 0; i < BLOCK; i++) most = Math.max(most, Math.abs(values[from + i]!));
  const scale = Math.fround(most / 127);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  into.setUint16(at, f16Bits(scale), true);
  for (let i = 0; i < BLOCK; i++) {
    const value = Math.fround(values[from + i]! * inverse);
    // Half away from zero.
    into.setInt8(at + 2 + i, Math.sign(value) * Math.floor(Math.abs(value) + 0.5));
  }
}

function q4_0(values: Float32Array, from: number, into: DataView, at: number): void {
  let extreme = 0;
  for (let i = 0; i < BLOCK; i++) {
    const value = values[from + i]!;
    if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  }
  const scale = Math.fround(extreme / -8);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  const code = (i: number) => {
    const value = Math.fround(Math.fround(values[from + i]! * inverse) + 8.5);
    return Math.min(15, Math.trunc(value));
  };
  into.setUint16(at, f16Bits(scale), true);
  for (let i = 0; i < BLOCK / 2; i++) into.setUint8(at + 2 + i, code(i) | (code(i + BLOCK / 2) << 4));
}

const SUPER_BLOCK = 256;
const GROUPS = SUPER_BLOCK / BLOCK;
const LARGEST_CODE = 15;
const LARGEST_SCALE = 63;

/** Scale and offset of a group by weighted least squares, over several first guesses of the scale (ggml's make_qkx2_quants). */
function fitGroup(x: Float32Array, from: number): { scale: number; min: number } {
  let [sumSquares, least, most] = [0, x[from]!, x[from]!];
  for (let i = 0; i < BLOCK; i++) {
    const value = x[from + i]!;
    sumSquares += value * value;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  least = Math.min(least, 0);
  if (most === least) return { scale: 0, min: -least };
  const mean = Math.sqrt(sumSquares / BLOCK);
  const weight = (i: number) => mean + Math.abs(x[from + i]!);
  const code = (i: number, inverse: number) =>
    Math.max(0, Math.min(LARGEST_CODE, halfToEven(inverse * (x[from + i]! - least))));
  let [sumWeights, sumValues] = [0, 0];
  for (let i = 0; i < BLOCK; i++) {
    sumWeights += weight(i);
    sumValues += weight(i) * x[from + i]!;
  }
  const errorOf = (inverse: number, scale: number, min: number) => {
    let error = 0;
    for (let i = 0; i < BLOCK; i++) error += weight(i) * (scale * code(i, inverse) + min - x[from + i]!) ** 2;
    return error;
  };
  const range = most - least;
  const found = { scale: range / LARGEST_CODE, min: least };
  let best = errorOf(LARGEST_CODE / range, found.scale, found.min);
  for (let step = 0; step <= 20; step++) {
    const inverse = (-1 + 0.1 * step + LARGEST_CODE) / range;
    let [sumCodes, sumCodes2, sumCodeValues] = [0, 0, 0];
    for (let i = 0; i < BLOCK; i++) {
      const [c, w] = [code(i, inverse), weight(i)];
      sumCodes += w * c;
      sumCodes2 += w * c * c;
      sumCodeValues += w * c * x[from + i]!;
    }
    const determinant = sumWeights * sumCodes2 - sumCodes * sumCodes;
    if (determinant <= 0) continue;
    let scale = (sumWeights * sumCodeValues - sumValues * sumCodes) / determinant;
    let min = (sumCodes2 * sumValues - sumCodes * sumCodeValues) / determinant;
    if (min > 0) [scale, min] = [sumCodeValues / sumCodes2, 0];
    const error = errorOf(inverse, scale, min);
    if (error >= best) continue;
    best = error;
    found.scale = scale;
    found.min = min;
  }
  return { scale: found.scale, min: -found.min };
}

function q4_k(values: Float32Array, from: number, into: DataView, at: number): void {
  const groups = Array.from({ length: GROUPS }, (_, j) => fitGroup(values, from + j * BLOCK));
  const mostScale = Math.max(0, ...groups.map(({ scale }) => scale));
  const mostMin = Math.max(0, ...groups.map(({ min }) => min));
  const stored = (value: number, most: number) =>
    most > 0 ? Math.max(0, Math.min(LARGEST_SCALE, halfToEven((LARGEST_SCALE / most) * value))) : 0;
  const [scaleBits, minBits] = [f16Bits(mostScale / LARGEST_SCALE), f16Bits(mostMin / LARGEST_SCALE)];
  into.setUint16(at, scaleBits, true);
  into.setUint16(at + 2, minBits, true);
  const scales = groups.map(({ scale }) => stored(scale, mostScale));
  const mins = groups.map(({ min }) => stored(min, mostMin));
  for (let j = 0; j < 4; j++) {
    into.setUint8(at + 4 + j, scales[j]! | ((scales[j + 4]! >> 4) << 6));
    into.setUint8(at + 8 + j, mins[j]! | ((mins[j + 4]! >> 4) << 6));
    into.setUint8(at + 12 + j, (scales[j + 4]! & 15) | ((mins[j + 4]! & 15) << 4));
  }
  const codes = new Uint8Array(SUPER_BLOCK);
  for (let i = 0; i < SUPER_BLOCK; i++) {
    const j = Math.floor(i / BLOCK);
    const scale = f16Value(scaleBits) * scales[j]!;
    const min = f16Value(minBits) * mins[j]!;
    if (scale !== 0) codes[i] = Math.max(0, Math.min(LARGEST_CODE, halfToEven((values[from + i]! + min) / scale)));
  }
  for (let pair = 0; pair < GROUPS / 2; pair++) {
    for (let i = 0; i < BLOCK; i++) {
      const low = 2 * pair * BLOCK + i;
      into.setUint8(at + 16 + pair * BLOCK + i, codes[low]! | (codes[low + BLOCK]! << 4));
    }
  }
}

const ENCODINGS: Record<EncodedDtype, Encoding> = {
  f32: { type: 0, elements: 1, bytes: 4, block: (values, from, into, at) => into.setFloat32(at, values[from]!, true) },
  f16: {
    type: 1,
    elements: 1,
    bytes: 2,
    block: (values, from, into, at) => into.setUint16(at, f16Bits(values[from]!), true),
  },
  bf16: {
    type: 30,
    elements: 1,
    bytes: 2,
    block: (values, from, into, at) => into.setUint16(at, bf16Bits(values[from]!), true),
  },
  q8_0: { type: 8, elements: BLOCK, bytes: 34, block: q8_0 },
  q4_0: { type: 2, elements: BLOCK, bytes: 18, block: q4_0 },
  q4_k: { type: 12, elements: SUPER_BLOCK, bytes: 144, block: q4_k },
};

/** Whether rows of this number of columns are whole blocks. */
export function canEncode(dtype: EncodedDtype, columns: number): boolean {
  return columns % ENCODINGS[dtype].elements === 0;
}

/** Bytes of a number of elements. */
export function encodedBytes(dtype: EncodedDtype, elements: number): number {
  const { elements: per, bytes } = ENCODINGS[dtype];
  return (elements / per) * bytes;
}

/** Number of ggml's type. */
export const encodedType = (dtype: EncodedDtype): number => ENCODINGS[dtype].type;

/** @param values finite numbers, whole blocks */
export function encode(dtype: EncodedDtype, values: Float32Array): Uint8Array {
  const { elements, bytes, block } = ENCODINGS[dtype];
  const out = new Uint8Array(encodedBytes(dtype, values.length));
  const view = new DataView(out.buffer);
  for (let from = 0, at = 0; from < values.length; from += elements, at += bytes) block(values, from, view, at);
  return out;
}
