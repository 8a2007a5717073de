// Updates of smaller rank: the best ones, by truncation of the singular value decomposition (Eckart and Young, 1936).
import type { Factors } from "../checkpoint/index.js";
import type { AdapterTensors } from "../native/index.js";
import type { Columns } from "./linear-algebra.js";
import { energyRank } from "./measures.js";
import { type Update, updateSvd } from "./update.js";

/** Bytes of a number of an adapter's file. */
const NUMBER_BYTES = 4;

/** The size that an adapter is brought to. */
export type Target =
  /** At most this rank, in every module. */
  | { rank: number }
  /** In every module the smallest rank that holds this share of the sum of squared singular values. */
  | { energy: number }
  /** At most these bytes of factors: directions are taken by their energy for a byte, over all modules. Each module keeps one. */
  | { bytes: number };

export interface Compressed {
  factors: Factors[];
  /** Share of the sum of squares of all updates that is left. */
  energy: number;
}

export function compress(factors: readonly Factors[], target: Target): Compressed {
  const updates = factors.map(updateSvd);
  const ranks = ranksFor(target, factors, updates);
  let [kept, all] = [0, 0];
  for (const [i, { values }] of updates.entries()) {
    for (const [j, value] of values.entries()) {
      all += value * value;
      if (j < ranks[i]!) kept += value * value;
    }
  }
  return {
    factors: factors.map((each, i) => truncated(each, updates[i]!, ranks[i]!, "even")),
    energy: all === 0 ? 1 : kept / all,
  };
}

/**
 * Factors in the places of larger ones, with rows and columns of zeros, so that an engine takes them that has the larger adapter.
 * @param whole of the same modules, in the same order
 */
export function padded(smaller: readonly Factors[], whole: readonly Factors[]): AdapterTensors {
  const tensors: AdapterTensors = new Map();
  for (const [i, { a, b, rank: k, scale: own }] of smaller.entries()) {
    const { module, out, inputs, rank, scale } = whole[i]!;
    const [widerA, widerB] = [new Float32Array(rank * inputs), new Float32Array(out * rank)];
    widerA.set(a);
    for (let row = 0; row < out; row++) {
      for (let j = 0; j < k; j++) widerB[row * rank + j] = (own / scale) * b[row * k + j]!;
    }
    tensors.set(`${module}.lora_A.weight`, { shape: [rank, inputs], data: widerA });
    tensors.set(`${module}.lora_B.weight`, { shape: [out, rank], data: widerB });
  }
  return tensors;
}

const sizeOf = ({ out, inputs }: Factors) => (out + inputs) * NUMBER_BYTES;

function ranksFor(target: Target, factors: readonly Factors[], updates: readonly Update[]): number[] {
  if ("rank" in target) return updates.map(({ values }) => Math.min(target.rank, values.length));
  if ("energy" in target) return updates.map(({ values }) => Math.max(1, energyRank(values, target.energy)));
  const ranks = updates.map(() => 1);
  let left = target.bytes - factors.reduce((sum, each) => sum + sizeOf(each), 0);
  const directions = updates.flatMap(({ values }, i) =>
    [...values].slice(1).map((value) => ({ i, worth: (value * value) / sizeOf(factors[i]!) })),
  );
  // A module's singular values fall, so that the order within a module is that of its directions.
  for (const { i, worth } of directions.sort((a, b) => b.worth - a.worth)) {
    if (worth === 0 || sizeOf(factors[i]!) > left) break;
    left -= sizeOf(factors[i]!);
    ranks[i]!++;
  }
  return ranks;
}

/**
 * The first k directions as factors of scale 1.
 * @param share even: A and B each hold the roots of the singular values; b: B holds the singular values
 */
export function truncated(like: Factors, update: Update, k: number, share: "even" | "b"): Factors {
  const { out, inputs } = like;
  // Vectors of singular values of 0 are not known, and count for nothing.
  const known = Math.min(k, update.values.filter((value) => value > 0).length);
  const [u, v] = [update.outputs(known), update.inputs(known)];
  const [a, b] = [new Float32Array(k * inputs), new Float32Array(out * k)];
  for (let j = 0; j < known; j++) {
    const value = update.values[j]!;
    const [ofA, ofB] = share === "even" ? [Math.sqrt(value), Math.sqrt(value)] : [1, value];
    for (let i = 0; i < inputs; i++) a[j * inputs + i] = ofA * element(v, i, j);
    for (let i = 0; i < out; i++) b[i * k + j] = ofB * element(u, i, j);
  }
  return { module: like.module, a, b, out, inputs, rank: k, scale: 1 };
}

const element = ({ rows, data }: Columns, i: number, j: number) => data[j * rows + i]!;
