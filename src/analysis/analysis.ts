// An adapter's updates by module and by kind of module, from the factors alone.
import type { Factors } from "../checkpoint/index.js";
import type { Columns } from "./linear-algebra.js";
import { type Measures, measure, overlap, principalCosines } from "./measures.js";
import { updateSvd } from "./update.js";

export interface ModuleAnalysis extends Measures {
  module: string;
  /** The module's name without its layer, such as "self_attn.q_proj". */
  kind: string;
  /** 0 for a module outside of layers. */
  layer: number;
  rank: number;
  scale: number;
  /** Of scale B A, falling. */
  singularValues: number[];
  /** Norm of the update over the base weight's norm, where the base is known. */
  relativeNorm?: number;
}

export interface KindAnalysis {
  kind: string;
  modules: ModuleAnalysis[];
  /**
   * Mean overlap of the leading directions of two layers: 0 orthogonal, 1 the same. `inputs`: directions that the update reads, `outputs`:
   * directions that it writes. Null where there is one layer.
   */
  layerOverlap: { inputs: number; outputs: number; directions: number } | null;
}

export interface Comparison {
  module: string;
  /** Cosine of the two updates as vectors of their elements. */
  cosine: number;
  /** Mean squared cosine of the principal angles between the directions that hold 90 % of each update's energy. */
  inputs: number;
  outputs: number;
  /** Cosines of the principal angles between these directions, falling. */
  inputCosines: number[];
  outputCosines: number[];
}

interface Directions {
  /** (I, K) and (O, K), leading first. */
  inputs: Columns;
  outputs: Columns;
}

/** Directions that are compared between layers, at most. */
const MOST_DIRECTIONS = 4;

/** A module's name without its layer, and the layer: its first whole number between two dots. */
function placeOf(module: string): { kind: string; layer: number } {
  const parts = /^(?:.*?\.)?(\d+)\.(.+)$/.exec(module);
  return parts ? { kind: parts[2]!, layer: Number(parts[1]) } : { kind: module, layer: 0 };
}

/** What `of` makes of each module, by kind of module; the kinds in the order of their first modules. */
export function byKind<M extends { module: string }, T>(
  all: Iterable<M>,
  of: (each: M, place: { kind: string; layer: number }) => T,
): { kind: string; modules: T[] }[] {
  const kinds = new Map<string, T[]>();
  for (const each of all) {
    const place = placeOf(each.module);
    const made = of(each, place);
    const known = kinds.get(place.kind);
    if (known) known.push(made);
    else kinds.set(place.kind, [made]);
  }
  return [...kinds].map(([kind, modules]) => ({ kind, modules }));
}

/**
 * @param factors readFactors'
 * @param baseNorm the Frobenius norm of a module's weight, undefined where it is not known
 */
export function analyze(
  factors: readonly Factors[],
  baseNorm: (module: string) => number | undefined = () => undefined,
): KindAnalysis[] {
  const kinds = byKind(factors, (each, { kind, layer }) => {
    const { values, outputs, inputs } = updateSvd(each);
    const measures = measure(values);
    const norm = baseNorm(each.module);
    const module: ModuleAnalysis = {
      ...{ module: each.module, kind, layer, rank: each.rank, scale: each.scale, ...measures },
      singularValues: [...values],
      ...(norm === undefined ? {} : { relativeNorm: measures.norm / norm }),
    };
    const directions = Math.min(MOST_DIRECTIONS, Math.max(1, measures.rank90));
    return { module, directions: { inputs: inputs(directions), outputs: outputs(directions) } };
  });
  return kinds.map(({ kind, modules }) => ({
    kind,
    modules: modules.map(({ module }) => module),
    layerOverlap: layerOverlap(modules.map(({ directions }) => directions)),
  }));
}

function layerOverlap(layers: readonly Directions[]): KindAnalysis["layerOverlap"] {
  if (layers.length < 2) return null;
  const [sums, pairs] = [{ inputs: 0, outputs: 0 }, (layers.length * (layers.length - 1)) / 2];
  for (const [i, one] of layers.entries()) {
    for (const other of layers.slice(0, i)) {
      for (const side of ["inputs", "outputs"] as const) {
        // Layers of other shapes have no direction in common.
        if (one[side].rows === other[side].rows) sums[side] += overlap(one[side], other[side]);
      }
    }
  }
  const directions = Math.max(...layers.map(({ inputs }) => inputs.cols));
  return { inputs: sums.inputs / pairs, outputs: sums.outputs / pairs, directions };
}

/** Two adapters, module by module; modules that one of them lacks are left out. */
export function compare(one: readonly Factors[], other: readonly Factors[]): Comparison[] {
  const others = new Map(other.map((factors) => [factors.module, factors]));
  return one.flatMap((factors) => {
    const second = others.get(factors.module);
    if (!second || second.out !== factors.out || second.inputs !== factors.inputs) return [];
    const [a, b] = [updateSvd(factors), updateSvd(second)];
    const [spanA, spanB] = [a, b].map(({ values, inputs, outputs }) => {
      const k = Math.max(1, measure(values).rank90);
      return { inputs: inputs(k), outputs: outputs(k) };
    }) as [Directions, Directions];
    return {
      module: factors.module,
      cosine: cosine(factors, second, measure(a.values).norm * measure(b.values).norm),
      inputs: overlap(spanA.inputs, spanB.inputs),
      outputs: overlap(spanA.outputs, spanB.outputs),
      inputCosines: [...principalCosines(spanA.inputs, spanB.inputs)],
      outputCosines: [...principalCosines(spanA.outputs, spanB.outputs)],
    };
  });
}

/** The sum of products of two updates' elements is scale scale' trace((B^T B') (A' A^T)), over the product of their norms. */
function cosine(one: Factors, other: Factors, norms: number): number {
  let product = 0;
  for (let i = 0; i < one.rank; i++) {
    for (let j = 0; j < other.rank; j++) {
      let [left, right] = [0, 0];
      for (let row = 0; row < one.out; row++) left += one.b[row * one.rank + i]! * other.b[row * other.rank + j]!;
      for (let col = 0; col < one.inputs; col++) right += one.a[i * one.inputs + col]! * other.a[j * one.inputs + col]!;
      product += left * right;
    }
  }
  return norms === 0 ? 0 : (one.scale * other.scale * product) / norms;
}
