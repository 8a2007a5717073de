// Scalings of rotary frequencies that GGUF files hold as one factor for each frequency: Llama 3's result, and longrope's two lists.
import { closeSync } from "node:fs";
import { LowrankError } from "../../base/errors.js";
import { openRegular } from "../../base/system-errors.js";
import type { RopeScaling } from "../../native/index.js";
import { fill, type GgufHeader } from "./header.js";

type Llama3 = Required<Pick<RopeScaling, "factor" | "lowFreqFactor" | "highFreqFactor" | "originalMaxPositions">>;

/** The factors of Llama 3.1, and of 3.2. */
const KNOWN = [8, 32].map((factor) => ({ factor, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 }));
/** The factors are f32. */
const TOLERANCE = 1e-5;

/** Names of the tensors. */
export const ropeFactorNames = {
  llama3: "rope_freqs.weight",
  long: ["rope_factors_long.weight", "rope_factors_short.weight"],
};

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

/** The tensors of a model's scaling: one of type llama3, two of longrope, else none. */
export function ropeFactors(scaling: RopeScaling | null, rotary: number, theta: number): Record<string, Float32Array> {
  const [long, short] = ropeFactorNames.long as [string, string];
  if (scaling?.type === "llama3")
    return { [ropeFactorNames.llama3]: Float32Array.from(factorsOf(scaling as Llama3, rotary, theta)) };
  if (scaling?.type !== "longrope") return {};
  return { [long]: Float32Array.from(scaling.longFactors!), [short]: Float32Array.from(scaling.shortFactors!) };
}

/** Numbers of a tensor of factors; undefined where there is none. @throws LowrankError E_GGUF */
export function storedFactors({ file, tensors }: GgufHeader, name: string, n: number): Float32Array | undefined {
  const tensor = tensors.find((each) => each.name === name);
  if (!tensor) return undefined;
  const fail = (what: string) => new LowrankError("E_GGUF", `${file}: tensor ${name} ${what}.`, name);
  if (tensor.type !== 0 || tensor.shape.length !== 1 || tensor.shape[0] !== n) throw fail(`is not ${n} numbers in f32`);
  const stored = new Float32Array(n);
  const descriptor = openRegular(file, "Model");
  try {
    fill(descriptor, new Uint8Array(stored.buffer), tensor.offset, fail);
  } finally {
    closeSync(descriptor);
  }
  return stored;
}

/** `rope_scaling` of config.json. @throws LowrankError E_GGUF where the factors are not Llama 3's */
export function scalingOfFactors(stored: Float32Array, theta: number, file: string): Record<string, unknown> {
  const found = KNOWN.find((known) => {
    const factors = factorsOf(known, 2 * stored.length, theta);
    return stored.every((value, i) => Math.abs(value - factors[i]!) <= TOLERANCE * factors[i]!);
  });
  if (found) {
    return {
      rope_type: "llama3",
      factor: found.factor,
      low_freq_factor: found.lowFreqFactor,
      high_freq_factor: found.highFreqFactor,
      original_max_position_embeddings: found.originalMaxPositions,
    };
  }
  const name = ropeFactorNames.llama3;
  const message = `${file}: tensor ${name} holds rotary factors other than Llama 3.1's and 3.2's, which are not supported. Use the Hugging Face folder of the model.`;
  throw new LowrankError("E_GGUF", message, name);
}
