// The adapter that a sweep recommends, by its evaluations.
import { bytes } from "../../base/text.js";
import { LARGER_IS_BETTER, type Metric } from "../../trainer/index.js";

/** An adapter that ran to its end. */
export interface Candidate {
  run: string;
  /** Where the adapters differ in their ranks alone. */
  rank: number | null;
  /** Of the metric. */
  value: number;
  parameters: number;
  bytes: number;
}

export interface Recommendation {
  run: string;
  reason: string;
  /** Ranks to sweep next, where the best adapter is the largest one and a larger one may be better. Otherwise empty. */
  next_ranks: number[];
}

/** A metric that is worse by this share of the best one hardly is. */
export const TOLERANCE = 0.005;

/** The promise of ranks above the largest one, which is the best one. */
interface Trend {
  /** Cost that ranks without end would come to; null where the gain does not shrink, or is not known to. */
  limit: number | null;
  next: number[];
}

/**
 * From the costs of the last three ranks, each the same multiple of the one before: where the gain shrinks by one factor each time, the
 * costs are a geometric series (Aitken's delta squared).
 * @param tried ranks rising, the last one the best
 */
function trendOf(tried: readonly { rank: number; cost: number }[]): Trend {
  const [first, middle, last] = tried.slice(-3);
  const next = [2 * tried.at(-1)!.rank, 4 * tried.at(-1)!.rank];
  if (!first || !middle || !last || first.rank * last.rank !== middle.rank ** 2) return { limit: null, next };
  const [before, gain] = [first.cost - middle.cost, middle.cost - last.cost];
  return gain < before ? { limit: last.cost - gain ** 2 / (before - gain), next } : { limit: null, next };
}

/**
 * The smallest adapter whose metric is within the tolerance of the best one's. Where the best one has the largest rank, the best is the
 * limit that the ranks tend to; the best one is then recommended where that limit is further away, and larger ranks to try are named.
 */
export function recommend(candidates: readonly Candidate[], metric: Metric): Recommendation | null {
  const sign = LARGER_IS_BETTER.includes(metric) ? -1 : 1;
  const cost = ({ value }: Candidate) => sign * value;
  const best = bestOf(candidates, metric);
  if (!best) return null;
  const shown = (value: number) => `${metric} ${value.toFixed(4)}`;
  const margin = TOLERANCE * Math.abs(best.value);
  const smallestTo = (target: number) =>
    candidates.filter((each) => cost(each) <= target + margin).sort((a, b) => a.parameters - b.parameters)[0];
  const choice = (chosen: Candidate, target: string): Recommendation => {
    const within = `within ${100 * TOLERANCE} % of ${target}`;
    const values = `${shown(chosen.value)} with ${bytes(chosen.bytes)}, ${best.run} has ${shown(best.value)} with ${bytes(best.bytes)}`;
    const reason =
      chosen === best
        ? `it is the best (${shown(best.value)}), and no smaller one is ${within}`
        : `it is the smallest ${within}: ${values}`;
    return { run: chosen.run, reason, next_ranks: [] };
  };
  const near = choice(smallestTo(cost(best))!, "the best");
  const tried = candidates
    .flatMap((each) => (each.rank === null ? [] : [{ rank: each.rank, cost: cost(each) }]))
    .sort((a, b) => a.rank - b.rank);
  if (best.rank === null || best.rank !== tried.at(-1)!.rank) return near;
  const { limit, next } = trendOf(tried);
  const chosen = limit === null ? undefined : smallestTo(limit);
  if (chosen) return choice(chosen, `${shown(sign * limit!)}, to which larger ranks tend`);
  // Where no trend is known, a last step of less than the tolerance is taken for the end of the gain.
  if (limit === null && near.run !== best.run) return near;
  const more = limit === null ? "no larger rank was tried" : `larger ranks tend to ${shown(sign * limit)}`;
  return { run: best.run, reason: `it is the best (${shown(best.value)}), and ${more}`, next_ranks: next };
}

/** The first of the best. */
export function bestOf<C extends Pick<Candidate, "value">>(candidates: readonly C[], metric: Metric): C | null {
  const sign = LARGER_IS_BETTER.includes(metric) ? -1 : 1;
  return candidates.reduce<C | null>(
    (best, each) => (best && sign * best.value <= sign * each.value ? best : each),
    null,
  );
}
