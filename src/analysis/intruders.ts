// Intruder directions: singular vectors of a tuned weight that are like none of the base's (Shuttleworth et al., 2024, "LoRA vs Full
// Fine-tuning: An Illusion of Equivalence").
import type { Factors } from "../checkpoint/index.js";
import { symmetricEigen } from "./symmetric.js";

export interface Intruders {
  module: string;
  /** Of each of the leading left singular vectors of the tuned weight: the largest |cosine| to a left singular vector of the base. */
  cosines: number[];
  /** How many of these are below the threshold. */
  intruders: number;
}

interface Leading {
  /** Squared singular values, falling. */
  values: Float64Array;
  /** Row i: the singular vector on the shorter side. */
  vectors: Float64Array;
}

/** Directions whose singular value is this small beside the largest one are rounding. */
const LEAST = 1e-7;

/** W W^T, or W^T W where W (O, I) has more rows than columns. */
function gram(w: Float32Array, out: number, inputs: number): { n: number; data: Float64Array } {
  const n = Math.min(out, inputs);
  const data = new Float64Array(n * n);
  if (out <= inputs) {
    const rows = new Float64Array(w);
    for (let i = 0; i < n; i++) {
      const x = rows.subarray(i * inputs, (i + 1) * inputs);
      for (let j = 0; j <= i; j++) {
        const y = rows.subarray(j * inputs, (j + 1) * inputs);
        let [even, odd] = [0, 0];
        let k = 0;
        for (; k + 1 < inputs; k += 2) {
          even += x[k]! * y[k]!;
          odd += x[k + 1]! * y[k + 1]!;
        }
        if (k < inputs) even += x[k]! * y[k]!;
        data[i * n + j] = data[j * n + i] = even + odd;
      }
    }
    return { n, data };
  }
  for (let o = 0; o < out; o++) {
    const row = w.subarray(o * inputs, (o + 1) * inputs);
    for (let i = 0; i < n; i++) {
      const x = row[i]!;
      for (let j = 0, to = i * n; j <= i; j++, to++) data[to]! += x * row[j]!;
    }
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) data[j * n + i] = data[i * n + j]!;
  return { n, data };
}

function leading(w: Float32Array, out: number, inputs: number): Leading {
  const { n, data } = gram(w, out, inputs);
  return symmetricEigen(data, n);
}

/** W + scale B A. */
function tuned(w: Float32Array, { a, b, out, inputs, rank, scale }: Factors): Float32Array {
  const sum = new Float32Array(w);
  const row = new Float64Array(inputs);
  for (let o = 0; o < out; o++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = scale * b[o * rank + r]!;
      for (let i = 0, from = r * inputs; i < inputs; i++, from++) row[i]! += factor * a[from]!;
    }
    for (let i = 0, to = o * inputs; i < inputs; i++, to++) sum[to] = w[to]! + row[i]!;
  }
  return sum;
}

/**
 * Of a module. Memory: the weight twice in f32 and once in f64, and three matrices of its shorter side in f64.
 * @param w the base's weight (O, I), row after row
 * @param directions how many leading singular vectors of the tuned weight are looked at
 * @param threshold a |cosine| to every singular vector of the base below it makes an intruder
 */
export function intruders(w: Float32Array, factors: Factors, directions: number, threshold: number): Intruders {
  const { out, inputs, module } = factors;
  const base = leading(w, out, inputs);
  const sum = tuned(w, factors);
  const whole = leading(sum, out, inputs);
  const n = Math.min(out, inputs);
  const cosines: number[] = [];
  for (let k = 0; k < Math.min(directions, n); k++) {
    if (!(whole.values[k]! > 0)) break;
    const vector = whole.vectors.subarray(k * n, (k + 1) * n);
    // On the outputs' side: where the rows are more, u = W v / sigma, and u . u' = v W^T (W' v') / (sigma sigma').
    const probe = out <= inputs ? vector : timesTransposed(w, out, inputs, times(sum, out, inputs, vector));
    let most = 0;
    for (let i = 0; i < n && base.values[i]! > LEAST * LEAST * base.values[0]!; i++) {
      let product = 0;
      for (let j = 0, at = i * n; j < n; j++, at++) product += base.vectors[at]! * probe[j]!;
      const cosine = out <= inputs ? product : product / Math.sqrt(base.values[i]! * whole.values[k]!);
      most = Math.max(most, Math.abs(cosine));
    }
    cosines.push(Math.min(1, most));
  }
  return { module, cosines, intruders: cosines.filter((cosine) => cosine < threshold).length };
}

/** W v of v (I). */
function times(w: Float32Array, out: number, inputs: number, v: Float64Array): Float64Array {
  return Float64Array.from({ length: out }, (_, o) => {
    let sum = 0;
    for (let i = 0, at = o * inputs; i < inputs; i++, at++) sum += w[at]! * v[i]!;
    return sum;
  });
}

/** W^T u of u (O). */
function timesTransposed(w: Float32Array, out: number, inputs: number, u: Float64Array): Float64Array {
  const sums = new Float64Array(inputs);
  for (let o = 0; o < out; o++) for (let i = 0, at = o * inputs; i < inputs; i++, at++) sums[i]! += w[at]! * u[o]!;
  return sums;
}
