// Measures of a spectrum and of the angles between two subspaces.
import { type Columns, multiplyTransposed, svd } from "./linear-algebra.js";

export interface Measures {
  /** Frobenius norm of the update. */
  norm: number;
  /** exp of the entropy of the singular values' shares (Roy and Vetterli, 2007). */
  effectiveRank: number;
  /** Squared Frobenius norm over the squared largest singular value (Rudelson and Vershynin, 2007). */
  stableRank: number;
  /** The smallest number of singular values that hold this share of the sum of squares. */
  rank90: number;
  rank99: number;
}

/** Of falling singular values. An update of zeros has ranks 0. */
export function measure(values: Float64Array): Measures {
  const squares = values.map((value) => value * value);
  const energy = squares.reduce((sum, value) => sum + value, 0);
  const sum = values.reduce((total, value) => total + value, 0);
  if (sum === 0) return { norm: 0, effectiveRank: 0, stableRank: 0, rank90: 0, rank99: 0 };
  let entropy = 0;
  for (const value of values) if (value > 0) entropy -= (value / sum) * Math.log(value / sum);
  return {
    norm: Math.sqrt(energy),
    effectiveRank: Math.exp(entropy),
    stableRank: energy / squares[0]!,
    rank90: energyRank(values, 0.9),
    rank99: energyRank(values, 0.99),
  };
}

/** The smallest number of falling singular values that hold this share of the sum of squares. */
export function energyRank(values: Float64Array, share: number): number {
  const energy = values.reduce((sum, value) => sum + value * value, 0);
  let held = 0;
  for (const [i, value] of values.entries()) {
    held += value * value;
    if (held >= share * energy) return energy === 0 ? 0 : i + 1;
  }
  return values.length;
}

/** Cosines of the principal angles between the spans of orthonormal columns (M, J) and (M, K), falling (Bjorck and Golub, 1973). */
export const principalCosines = (a: Columns, b: Columns): Float64Array =>
  svd(multiplyTransposed(a, b)).values.map((cosine) => Math.min(1, cosine));

/** Mean of the squared cosines: 0 where the spans are orthogonal, 1 where one holds the other. */
export function overlap(a: Columns, b: Columns): number {
  const { data } = multiplyTransposed(a, b);
  return data.reduce((sum, value) => sum + value * value, 0) / Math.min(a.cols, b.cols);
}
