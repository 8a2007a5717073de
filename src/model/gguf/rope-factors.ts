// Llama 3's scaling of rotary frequencies: GGUF files hold its result, one factor for each frequency.
import { closeSync } from "node:fs";
import { LowrankError } from "../../base/errors.js";
import { openRegular } from "../../base/system-errors.js";
import type { RopeScaling } from "../../native/index.js";
import { fill, type GgufHeader, type GgufTensor } from "./header.js";

type Llama3 = Required<Pick<RopeScaling, "factor" | "lowFreqFactor" | "highFreqFactor" | "originalMaxPositions">>;

/** The factors of Llama 3.1, and of 3.2. */
const KNOWN = [8, 32].map((factor) => ({ factor, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 }));
/** The factors are f32. */
const TOLERANCE = 1e-5;

/** The divisor of each frequency (Llama 3.1's `rope_scaling`, as transformers computes it). */
function factorsOf(
  { factor, lowFreqFactor, highFreqFactor, originalMaxPositions }: Llama3,
  headDim: number,
  theta: number,
): number[] {
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < originalMaxPositions / highFreqFactor) return 1;
    if (wavelength > originalMaxPositions / lowFreqFactor) return factor;
    const smooth = (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** The same of a model's scaling, of type llama3. */
export function ropeFactors(scaling: RopeScaling, headDim: number, theta: number): number[] {
  return factorsOf(scaling as Llama3, headDim, theta);
}

/** @throws LowrankError E_GGUF where the factors are not Llama 3's */
export function llama3Scaling({ file }: GgufHeader, tensor: GgufTensor, headDim: number, theta: number): RopeScaling {
  const fail = (what: string) => new LowrankError("E_GGUF", `${file}: tensor ${tensor.name} ${what}.`, tensor.name);
  const n = headDim / 2;
  if (tensor.type !== 0 || tensor.shape.length !== 1 || tensor.shape[0] !== n) throw fail(`is not ${n} numbers in f32`);
  const stored = new Float32Array(n);
  const descriptor = openRegular(file, "Model");
  try {
    fill(descriptor, new Uint8Array(stored.buffer), tensor.offset, fail);
  } finally {
    closeSync(descriptor);
  }
  const found = KNOWN.find((known) => {
    const factors = factorsOf(known, headDim, theta);
    return stored.every((value, i) => Math.abs(value - factors[i]!) <= TOLERANCE * factors[i]!);
  });
  if (!found)
    throw fail(
      "holds rotary factors other than Llama 3.1's and 3.2's, which are not supported. Use the Hugging Face folder of the model",
    );
  return { type: "llama3", ...found };
}
