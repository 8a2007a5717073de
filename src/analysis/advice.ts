// A rank for each kind of module, by an adapter's spectra and by the losses that it keeps when it is cut to smaller ranks.
import type { KindAnalysis } from "./analysis.js";

export interface KindAdvice {
  kind: string;
  rank: number;
  /** Keeps the scale of the update: alpha / r, or alpha / sqrt(r). */
  alpha: number;
  /** The directions that the update uses. */
  reason: string;
}

/** The loss of the adapter on a validation file, cut to smaller ranks. */
export interface Measured {
  /** Of the whole adapter. */
  evalLoss: number;
  /** Falling ranks; the last one may be further away than the tolerance. */
  cuts: { rank: number; evalLoss: number }[];
  /** Share of the loss by which a cut may be worse. */
  tolerance: number;
}

export interface Advice {
  /** The adapter's own rank, or a smaller one that its measured loss bears out. */
  rank: number;
  reason: string;
  /** Ranks of a sweep that would tell which rank the task needs. */
  sweepRanks: number[];
  measured?: Measured;
  kinds: KindAdvice[];
}

/**
 * Singular values tell which directions are hardly used, and no loss: a small direction may be the one that matters, and a flat spectrum
 * may be that of a short run. So no rank below the adapter's own is advised by them. Whether a larger rank is better, no single adapter
 * tells.
 */
export function advise(kinds: readonly KindAnalysis[], useRslora: boolean, measured?: Measured): Advice {
  const own = Math.max(...kinds.flatMap(({ modules }) => modules.map(({ rank }) => rank)));
  const kept = measured?.cuts.filter((cut) => isKept(cut.evalLoss, measured));
  const rank = Math.min(own, ...(kept ?? []).map((cut) => cut.rank));
  const sweepRanks: number[] = [];
  for (let each = Math.max(1, Math.floor(rank / (measured ? 2 : 4))); each <= 4 * own; each *= 2) sweepRanks.push(each);
  const advice = { rank, reason: measured ? reasonOf(own, rank, measured) : unmeasured(own), sweepRanks };
  return { ...advice, ...(measured && { measured }), kinds: kinds.map((kind) => kindAdvice(kind, rank, useRslora)) };
}

/** Whether a loss is hardly above the whole adapter's. */
export const isKept = (loss: number, { evalLoss, tolerance }: Omit<Measured, "cuts">) =>
  loss - evalLoss <= tolerance * Math.abs(evalLoss);

/** Powers of two below the rank, falling: the ranks that an adapter is cut to. */
export function smallerRanks(rank: number): number[] {
  const ranks: number[] = [];
  for (let each = 1; each < rank; each *= 2) ranks.unshift(each);
  return ranks;
}

const unmeasured = (own: number) =>
  `the singular values of one adapter do not tell the loss at another rank, so that rank ${own} stays; --validation_file measures it at smaller ranks`;

function reasonOf(own: number, rank: number, { evalLoss, cuts, tolerance }: Measured): string {
  const shown = (cut: { rank: number; evalLoss: number }) => `cut to rank ${cut.rank} ${cut.evalLoss.toFixed(4)}`;
  const kept = cuts.find((cut) => cut.rank === rank);
  const lost = cuts.find((cut) => cut.rank < rank);
  const share = `within ${100 * tolerance} % of it`;
  const parts = [
    `eval_loss is ${evalLoss.toFixed(4)} at rank ${own}`,
    ...(kept ? [`${shown(kept)}, ${share}`] : []),
    ...(lost ? [`${shown(lost)}, not ${share}`] : []),
  ];
  return parts.join("; ");
}

function kindAdvice({ kind, modules }: KindAnalysis, most: number, useRslora: boolean): KindAdvice {
  const largest = Math.max(...modules.map((module) => module.rank));
  const needed = Math.max(...modules.map(({ rank90 }) => rank90));
  const rank = Math.min(largest, most);
  const { scale } = modules[0]!;
  const alpha = Number((scale * (useRslora ? Math.sqrt(rank) : rank)).toPrecision(6));
  const directions = needed === 1 ? "1 direction holds" : `${needed} directions hold`;
  const layers = modules.length === 1 ? "its update" : "the update of every layer";
  return { kind, rank, alpha, reason: `${directions} 90 % of ${layers}, of ${largest}` };
}
