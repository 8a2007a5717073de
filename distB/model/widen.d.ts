import type { PlainDtype } from "../native/index.js";
/** Little-endian bytes of f32, bf16 or f16 numbers as f32; every conversion is exact. The bytes may be taken over. */
export declare function widen(bytes: Uint8Array<ArrayBuffer>, dtype: PlainDtype): Float32Array;
