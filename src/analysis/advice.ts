// A rank for each kind of module, by the spectra of a trained adapter.
import type { KindAnalysis } from "./analysis.js";

export interface Advice {
  kind: string;
  rank: number;
  /** Keeps the scale of the update: alpha / r, or alpha / sqrt(r). */
  alpha: number;
  reason: string;
}

const powerOfTwo = (n: number) => 2 ** Math.ceil(Math.log2(n));

/**
 * The smallest power of two that holds 90 % of the update's energy in every layer, and at most the rank that there is: a spectrum tells which
 * directions are hardly used, and nothing of directions that an adapter does not have.
 */
export function advise({ kind, modules }: KindAnalysis, useRslora: boolean): Advice {
  const largest = Math.max(...modules.map(({ rank }) => rank));
  const needed = Math.max(...modules.map(({ rank90 }) => rank90));
  const rank = Math.min(largest, powerOfTwo(Math.max(1, needed)));
  const { scale } = modules[0]!;
  const alpha = Number((scale * (useRslora ? Math.sqrt(rank) : rank)).toPrecision(6));
  const directions = needed === 1 ? "1 direction holds" : `${needed} directions hold`;
  const layers = modules.length === 1 ? "its update" : "the update of every layer";
  const used = `${directions} 90 % of ${layers}`;
  const reason =
    rank < largest
      ? `${used}, of ${largest}`
      : `${used}: rank ${largest} is used up. Whether more would help, its spectrum cannot tell; lowrank sweep can`;
  return { kind, rank, alpha, reason };
}
