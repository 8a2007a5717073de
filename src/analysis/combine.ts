// Several adapters as one, as PEFT's add_weighted_adapter makes them.
import { LowrankError } from "../base/errors.js";
import type { Factors } from "../checkpoint/index.js";
import { truncated } from "./compress.js";
import { updateSvd } from "./update.js";

export const COMBINATIONS = ["cat", "svd", "linear", "ties", "magnitude_prune", "dare_linear", "dare_ties"] as const;
export type Combination = (typeof COMBINATIONS)[number];

export interface CombineOptions {
  combination: Combination;
  /** One for each adapter. */
  weights: readonly number[];
  /** Of svd; default the largest rank of the adapters. */
  rank?: number | undefined;
  /** Of ties, magnitude_prune, dare_linear, dare_ties: the share of elements that is left. */
  density: number;
  /** Of ties and dare_ties: the sign with the larger sum, or with more elements. */
  majority: "total" | "frequency";
  /** Of dare_linear and dare_ties: the next number, at least 0 and below 1. */
  random: () => number;
}

interface Part {
  factors: Factors;
  weight: number;
}

/**
 * cat and svd give the weighted sum of the updates, cat exactly and svd its best approximation of the rank. The others combine the
 * factors A and B each for themselves, as PEFT does: the result is not the weighted sum.
 * @param adapters factors of each; a module that some lack is combined of the others
 * @throws LowrankError E_ADAPTER
 */
export function combine(adapters: readonly (readonly Factors[])[], options: CombineOptions): Factors[] {
  const modules = new Map<string, Part[]>();
  for (const [i, adapter] of adapters.entries()) {
    for (const factors of adapter) {
      const parts = modules.get(factors.module) ?? [];
      modules.set(factors.module, [...parts, { factors, weight: options.weights[i]! }]);
    }
  }
  return [...modules.values()].map((parts) => {
    const { module, out, inputs } = parts[0]!.factors;
    const other = parts.find(({ factors }) => factors.out !== out || factors.inputs !== inputs);
    if (other) {
      const shapes = `[${out}, ${inputs}] and [${other.factors.out}, ${other.factors.inputs}]`;
      const message = `The adapters are of different base models: module ${module} is ${shapes}.`;
      throw new LowrankError("E_ADAPTER", message, module);
    }
    if (options.combination === "cat") return concatenated(parts);
    if (options.combination === "svd") {
      const stacked = concatenated(parts);
      const rank = options.rank ?? Math.max(...parts.map(({ factors }) => factors.rank));
      return truncated(stacked, updateSvd(stacked), rank, "b");
    }
    return elementwise(parts, options);
  });
}

/** The factors one after the other; A holds weights and scales. */
function concatenated(parts: readonly Part[]): Factors {
  const { module, out, inputs } = parts[0]!.factors;
  const rank = parts.reduce((sum, { factors }) => sum + factors.rank, 0);
  const [a, b] = [new Float32Array(rank * inputs), new Float32Array(out * rank)];
  let at = 0;
  for (const { factors, weight } of parts) {
    a.set(
      factors.a.map((x) => x * weight * factors.scale),
      at * inputs,
    );
    for (let i = 0; i < out; i++) b.set(factors.b.subarray(i * factors.rank, (i + 1) * factors.rank), i * rank + at);
    at += factors.rank;
  }
  return { module, a, b, out, inputs, rank, scale: 1 };
}

function elementwise(parts: readonly Part[], options: CombineOptions): Factors {
  const { module, out, inputs, rank } = parts[0]!.factors;
  const other = parts.find(({ factors }) => factors.rank !== rank);
  if (other) {
    const message = `combination_type ${options.combination} needs adapters of one rank, but module ${module} has ${rank} and ${other.factors.rank}. Use svd or cat.`;
    throw new LowrankError("E_ADAPTER", message, "combination_type");
  }
  // The root stands on both sides, the sign on one.
  const roots = parts.map(({ factors, weight }) => Math.sqrt(Math.abs(weight * factors.scale)));
  const signed = parts.map(({ factors, weight }, i) => (weight * factors.scale < 0 ? -roots[i]! : roots[i]!));
  const a = merged(
    parts.map(({ factors }) => factors.a),
    signed,
    options,
  );
  const b = merged(
    parts.map(({ factors }) => factors.b),
    roots,
    options,
  );
  return { module, a, b, out, inputs, rank, scale: 1 };
}

/** Tensors of one shape as one (TIES: Yadav et al., 2023; DARE: Yu et al., 2024). */
function merged(tensors: readonly Float32Array[], weights: readonly number[], options: CombineOptions): Float32Array {
  const { combination, majority, density, random } = options;
  const votes = combination === "ties" || combination === "dare_ties";
  let pruned = tensors;
  if (combination === "ties" || combination === "magnitude_prune") pruned = tensors.map((x) => largest(x, density));
  if (combination === "dare_linear" || combination === "dare_ties")
    pruned = tensors.map((x) => dropped(x, density, random));
  return tensors[0]!.map((_, i) => {
    let [sum, vote, voters] = [0, 0, 0];
    for (const x of pruned) vote += majority === "total" ? x[i]! : Math.sign(x[i]!);
    const sign = vote >= 0 ? 1 : -1;
    for (const [k, x] of pruned.entries()) {
      if (votes && Math.sign(x[i]!) !== sign) continue;
      sum += weights[k]! * x[i]!;
      voters++;
    }
    return votes ? sum / Math.max(1, voters) : sum;
  });
}

/** The largest elements by magnitude, this share of them; the others are 0. */
function largest(x: Float32Array, density: number): Float32Array {
  const count = Math.floor(density * x.length);
  const order = Uint32Array.from(x.keys()).sort((i, j) => Math.abs(x[j]!) - Math.abs(x[i]!));
  const left = new Float32Array(x.length);
  for (const i of order.subarray(0, count)) left[i] = x[i]!;
  return left;
}

/** Each element with this probability, over the probability; the others are 0. */
const dropped = (x: Float32Array, density: number, random: () => number) =>
  x.map((value) => (random() < density ? value / density : 0));
