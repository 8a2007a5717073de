/** f16 (1 sign, 5 exponent, 10 fraction bits) as a number; exact. */
function halfToNumber(half) {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0)
        return sign * fraction * 2 ** -24;
    if (exponent === 0x1f)
        return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
/** Little-endian bytes of f32, bf16 or f16 numbers as f32; every conversion is exact. The bytes may be taken over. */
export function widen(bytes, dtype) {
    if (dtype === "f32")
        return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const narrow = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
    if (dtype === "f16")
        return Float32Array.from(narrow, halfToNumber);
    // bf16 is the upper half of f32.
    return new Float32Array(Uint32Array.from(narrow, (upper) => upper * 0x10000).buffer);
}
