// The plots of one run, or of several beside each other.
import { bytes } from "../base/text.js";
import type { Run } from "./facts.js";
import type { BarPlot, Curve, CurvePlot, HistogramPlot, Plot } from "./plot.js";
import { bestEvaluation, type Point, pointsOf, smoothed, thinned } from "./series.js";
import { seconds, short } from "./text.js";

/** A curve of a plot: a key of metrics.jsonl. */
interface Key {
  key: string;
  name: string;
  /** Few points, of evaluations. */
  dots?: true;
}

interface Wanted {
  id: string;
  title: string;
  y: string;
  keys: Key[];
}

const CURVES: Wanted[] = [
  {
    id: "loss",
    title: "Loss",
    y: "loss",
    keys: [
      { key: "loss", name: "training" },
      { key: "eval_loss", name: "evaluation", dots: true },
    ],
  },
  {
    id: "accuracy",
    title: "Accuracy and F1",
    y: "share",
    keys: [
      { key: "eval_accuracy", name: "accuracy", dots: true },
      { key: "eval_f1", name: "F1", dots: true },
    ],
  },
  {
    id: "perplexity",
    title: "Evaluation perplexity",
    y: "perplexity",
    keys: [{ key: "eval_perplexity", name: "perplexity", dots: true }],
  },
  {
    id: "learning-rate",
    title: "Learning rate",
    y: "learning rate",
    keys: [{ key: "learning_rate", name: "learning rate" }],
  },
  {
    id: "gradient-norm",
    title: "Gradient norm",
    y: "norm before clipping",
    keys: [{ key: "grad_norm", name: "gradient norm" }],
  },
  { id: "speed", title: "Speed", y: "tokens/s", keys: [{ key: "tokens_per_s", name: "tokens/s" }] },
  { id: "loss-scale", title: "Loss scale", y: "loss scale", keys: [{ key: "loss_scale", name: "loss scale" }] },
];

/** Keys whose curves are shown smoothed, too: the schedule has no noise. */
const NOISY = new Set(["loss", "grad_norm", "tokens_per_s"]);

function told(name: string, points: readonly Point[]): string {
  const finite = points.filter(([, y]) => Number.isFinite(y));
  const [first, last] = [finite[0], finite.at(-1)];
  if (!first || !last) return `${name}: no number.`;
  if (first === last) return `${name}: ${short(first[1])} at step ${short(first[0])}.`;
  return `${name}: from ${short(first[1])} at step ${short(first[0])} to ${short(last[1])} at step ${short(last[0])}.`;
}

function curvePlot(runs: readonly Run[], { keys, ...about }: Wanted): CurvePlot | null {
  const curves: Curve[] = [];
  const summary: string[] = [];
  for (const [r, run] of runs.entries()) {
    for (const [k, { key, name, dots }] of keys.entries()) {
      const points = pointsOf(run.lines, key);
      if (points.length === 0) continue;
      const [only, several] = [name, keys.length > 1 ? `${run.name}, ${name}` : run.name];
      const curve = { name: runs.length === 1 ? only : several, colour: runs.length === 1 ? k : r };
      summary.push(told(curve.name, points));
      const mean = NOISY.has(key) ? smoothed(points) : null;
      curves.push({ ...curve, look: mean ? "faint" : dots ? "dots" : "line", points: thinned(points) });
      if (mean) curves.push({ ...curve, look: "line", points: mean });
    }
  }
  return curves.length === 0 ? null : { kind: "curves", ...about, x: "step", curves, summary: summary.join(" ") };
}

/** The best evaluation by rank, where runs have several ranks; of several runs with one rank the best. */
function rankPlot(runs: readonly Run[]): CurvePlot | null {
  const byRank = new Map<number, number>();
  for (const { facts, lines } of runs) {
    const [rank, loss] = [facts?.config.lora_r, bestEvaluation(lines)?.eval_loss];
    if (typeof rank !== "number" || typeof loss !== "number") continue;
    byRank.set(rank, Math.min(loss, byRank.get(rank) ?? Number.POSITIVE_INFINITY));
  }
  if (byRank.size < 2) return null;
  const points = [...byRank].sort(([a], [b]) => a - b);
  const summary = points.map(([rank, loss]) => `Rank ${rank}: ${short(loss)}.`).join(" ");
  const about = { id: "evaluation-by-rank", title: "Evaluation by rank", x: "rank", y: "best loss", summary };
  return { kind: "curves", ...about, curves: [{ name: "evaluation", colour: 0, look: "dots", points }] };
}

/** Of one run the items of the plan, one by one; of several the totals. */
function memoryPlot(runs: readonly Run[]): BarPlot | null {
  const rows = runs.flatMap(({ name, facts }) => {
    if (!facts) return [];
    const { memory, peak_memory_bytes: peak } = facts;
    const of = runs.length === 1 ? "" : `${name}, `;
    const items = runs.length === 1 ? memory.items.filter((item) => item.bytes > 0) : [];
    const row = (name: string, value: number, colour: number) => ({ name, parts: [{ name, value, colour }] });
    return [
      ...items.map((item) => row(item.name, item.bytes, 5)),
      row(`${of}planned in all`, memory.totalBytes, 0),
      ...(peak === null ? [] : [row(`${of}peak`, peak, 1)]),
    ];
  });
  if (rows.length === 0) return null;
  const totals = rows.map(({ name, parts }) => `${name}: ${bytes(parts[0]!.value)}.`);
  return { kind: "bars", id: "memory", title: "Memory", x: "bytes", rows, shown: bytes, summary: totals.join(" ") };
}

function timePlot(runs: readonly Run[]): BarPlot | null {
  const kinds = [...new Set(runs.flatMap(({ facts }) => Object.keys(facts?.seconds ?? {})))];
  const of = ({ facts }: Run, kind: string) => facts?.seconds[kind] ?? 0;
  const [only] = runs;
  const rows =
    runs.length === 1
      ? kinds.map((name, i) => ({ name, parts: [{ name, value: of(only!, name), colour: i }] }))
      : runs.map((run) => ({
          name: run.name,
          parts: kinds.map((name, i) => ({ name, value: of(run, name), colour: i })),
        }));
  if (kinds.length === 0) return null;
  const summary = rows.map(
    ({ name, parts }) => `${name}: ${seconds(parts.reduce((sum, { value }) => sum + value, 0))}.`,
  );
  return {
    kind: "bars",
    id: "time",
    title: "Time",
    x: "wall-clock time",
    rows,
    shown: seconds,
    summary: summary.join(" "),
  };
}

/** Lengths of one run's texts. */
function lengthsPlot([run]: readonly Run[]): HistogramPlot | null {
  if (!run?.facts) return null;
  const { training, validation } = run.facts.data;
  if (training.counts.length === 0) return null;
  const groups = [{ name: "training", colour: 0, counts: training.counts }];
  const isSame = validation.edges.length === training.edges.length;
  if (isSame && validation.texts > 0) groups.push({ name: "validation", colour: 1, counts: validation.counts });
  const { shortest, median, longest } = training;
  const summary = `${short(training.texts)} training texts of ${short(shortest)} to ${short(longest)} tokens, ${short(median)} in the median.`;
  const about = { id: "lengths", title: "Lengths of the texts", x: "tokens", y: "texts", summary };
  return { kind: "histogram", ...about, edges: training.edges, groups };
}

/** The plots that there are facts for, in the order of the page. */
export function plotsOf(runs: readonly Run[]): Plot[] {
  const curves = CURVES.map((wanted) => curvePlot(runs, wanted));
  const others = [rankPlot(runs), timePlot(runs), memoryPlot(runs), runs.length === 1 ? lengthsPlot(runs) : null];
  return [...curves, ...others].filter((plot) => plot !== null);
}
