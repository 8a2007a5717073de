// The curves of a run, from its lines of metrics.
import type { Line } from "./facts.js";

/** x and y; y is no number where the run had none. */
export type Point = readonly [number, number];

/** Ranges of x in which a curve keeps its first, least, largest and last point. */
const BUCKETS = 400;
/** A curve with more points is also shown smoothed. */
const WORTH_SMOOTHING = 40;
const SMOOTHED_POINTS = 300;
/** Share of a curve that one point of the smoothed curve is the mean of. */
const SMOOTHING = 0.04;

/** The points of one key, in order of the steps. */
export function pointsOf(lines: readonly Line[], key: string): Point[] {
  const isSummary = (line: Line) => "train_runtime" in line;
  return lines.flatMap((line) => {
    if (isSummary(line) || !(key in line)) return [];
    const value = line[key];
    return [[line.step, typeof value === "number" ? value : Number.NaN] as const];
  });
}

/** The evaluation with the least loss. */
export function bestEvaluation(lines: readonly Line[]): Line | undefined {
  const evaluations = lines.filter((line) => typeof line.eval_loss === "number");
  return evaluations.reduce<Line | undefined>(
    (least, line) => (least && (least.eval_loss as number) <= (line.eval_loss as number) ? least : line),
    undefined,
  );
}

/** Few enough points to draw: of each range of x the first, the least, the largest and the last one stay. */
export function thinned(points: readonly Point[], buckets = BUCKETS): Point[] {
  if (points.length <= 4 * buckets) return [...points];
  const [begin, end] = [points[0]![0], points.at(-1)![0]];
  const width = (end - begin) / buckets || 1;
  const kept: Point[] = [];
  for (let i = 0; i < points.length; ) {
    const bucket = Math.floor((points[i]![0] - begin) / width);
    const first = i;
    let [least, most] = [i, i];
    for (; i < points.length && Math.floor((points[i]![0] - begin) / width) === bucket; i++) {
      if (points[i]![1] < points[least]![1]) least = i;
      if (points[i]![1] > points[most]![1]) most = i;
    }
    const chosen = [...new Set([first, least, most, i - 1])].sort((a, b) => a - b);
    for (const each of chosen) kept.push(points[each]!);
  }
  return kept;
}

/** Means over a window around points of the curve; null where the curve is short enough to be read as it is. */
export function smoothed(all: readonly Point[]): Point[] | null {
  const points = all.filter(([, y]) => Number.isFinite(y));
  if (points.length <= WORTH_SMOOTHING) return null;
  const sums = new Float64Array(points.length + 1);
  for (const [i, [, y]] of points.entries()) sums[i + 1] = sums[i]! + y;
  const reach = Math.max(1, Math.round((SMOOTHING * points.length) / 2));
  const stride = Math.max(1, Math.ceil(points.length / SMOOTHED_POINTS));
  const found: Point[] = [];
  for (
    let i = 0;
    i < points.length;
    i += i + stride < points.length || i === points.length - 1 ? stride : points.length - 1 - i
  ) {
    const [from, to] = [Math.max(0, i - reach), Math.min(points.length, i + reach + 1)];
    found.push([points[i]![0], (sums[to]! - sums[from]!) / (to - from)]);
  }
  return found;
}
