// The result of a sweep: a table for people, sweep.json for programs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeError } from "../../base/system-errors.js";
import { bytes, columns } from "../../base/text.js";
import type { Variant } from "../../config/index.js";
import { holdsRun, readRun } from "../../report/index.js";
import { type EvalMetrics, LARGER_IS_BETTER, type Metric } from "../../trainer/index.js";
import { parameterCounts } from "../memory/plan.js";
import type { Rule } from "./judge.js";
import { bestOf, type Candidate, type Recommendation, recommend } from "./recommend.js";
import type { Outcome, PreparedRun, Status } from "./train.js";

export interface SweepEntry {
  run: string;
  /** Folder of its adapter, checkpoints and metrics; null where nothing is written. */
  folder: string | null;
  options: Variant;
  status: Status;
  /** Steps of the run so far; of one that failed, those that its metrics tell of. */
  steps: number | null;
  trainable_parameters: number;
  /** Size of the adapter's parameters in f32. */
  adapter_bytes: number;
  /** The evaluation that the run is judged by: of the adapter that it kept; of a run that failed, its last. */
  evaluation: EvalMetrics | null;
  train_loss: number | null;
  /** Seconds of its own steps, evaluations and checkpoints. */
  train_runtime: number | null;
  train_tokens_per_second: number | null;
  error?: { code: string; message: string };
}

export interface SweepResult {
  metric: Metric;
  stopping_rule: Rule["kind"];
  /** The run with the best metric of those that ran to their end. */
  best: string | null;
  /** The smallest adapter whose metric is hardly worse than the best one's. */
  recommended: Recommendation | null;
  /** Seconds from the first step to the last. */
  seconds: number;
  peak_memory_bytes: number;
  planned_memory_bytes: number;
  runs: SweepEntry[];
}

/** What a run that failed has written. */
function known(folder: string | undefined): Partial<SweepEntry> {
  if (folder === undefined || !holdsRun(folder)) return {};
  const { lines } = readRun(folder);
  const last = lines.at(-1);
  if (!last) return {};
  const evaluation = lines.findLast((line) => typeof line.eval_loss === "number");
  // The loss of a line is the mean of its steps.
  let [losses, steps] = [0, 0];
  for (const { step, loss } of lines) {
    if (typeof loss !== "number") continue;
    losses += loss * (step - steps);
    steps = step;
  }
  return {
    steps: last.step,
    evaluation: (evaluation as EvalMetrics | undefined) ?? null,
    train_loss: steps === 0 ? null : losses / steps,
  };
}

function entryOf(run: PreparedRun, { status, result, error }: Outcome): SweepEntry {
  const { model, adapter } = run.prepared;
  const counts = parameterCounts(model, adapter.spec);
  const summary = result?.summary;
  return {
    run: run.name,
    folder: run.options.output_dir ?? null,
    options: run.values,
    status,
    steps: result?.steps ?? null,
    trainable_parameters: counts.trainable,
    adapter_bytes: 4 * counts.adapter,
    evaluation: result?.bestEval ?? result?.lastEval ?? null,
    train_loss: summary?.train_loss ?? null,
    train_runtime: summary?.train_runtime ?? null,
    train_tokens_per_second: summary?.train_tokens_per_second ?? null,
    ...(error && { ...known(run.options.output_dir), error: { code: error.code, message: error.message } }),
  };
}

const metricOf = ({ evaluation }: SweepEntry, metric: Metric) => evaluation?.[metric] ?? evaluation?.eval_loss;

/** The runs that ran to their end. */
function candidates(entries: readonly SweepEntry[], metric: Metric): Candidate[] {
  const isByRank = entries.every(({ options }) => Object.keys(options).join() === "lora_r");
  return entries.flatMap((entry) => {
    const value = metricOf(entry, metric);
    if (entry.status !== "finished" || value === undefined) return [];
    const { run, trainable_parameters: parameters, adapter_bytes: size, options } = entry;
    return { run, rank: isByRank ? Number(options.lora_r) : null, value, parameters, bytes: size };
  });
}

/** @param seconds from the first step to the last */
export function sweepResult(
  runs: readonly PreparedRun[],
  outcomes: readonly Outcome[],
  rule: Rule,
  seconds: number,
): SweepResult {
  const metric = runs[0]!.options.metric_for_best_model;
  const entries = runs.map((run, i) => entryOf(run, outcomes[i]!));
  const finished = candidates(entries, metric);
  const peaks = outcomes.map(({ result }) => result?.summary.peak_memory_bytes ?? 0);
  return {
    metric,
    stopping_rule: rule.kind,
    best: bestOf(finished, metric)?.run ?? null,
    recommended: recommend(finished, metric),
    seconds,
    peak_memory_bytes: Math.max(...peaks),
    planned_memory_bytes: runs[0]!.prepared.plan.memory.totalBytes,
    runs: entries,
  };
}

/** @throws LowrankError E_WRITE */
export function writeSweep(folder: string, result: SweepResult): void {
  const file = join(folder, "sweep.json");
  try {
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  } catch (error) {
    throw writeError(error, file);
  }
}

/** The runs, the best one first. */
export function sweepTable({ runs, metric, best }: SweepResult): string {
  const sign = LARGER_IS_BETTER.includes(metric) ? -1 : 1;
  const cost = (entry: SweepEntry) => {
    const value = metricOf(entry, metric);
    return value === undefined ? Number.POSITIVE_INFINITY : sign * value;
  };
  const place = { finished: 0, interrupted: 0, stopped: 1, failed: 2 } satisfies Record<Status, number>;
  const sorted = [...runs].sort((a, b) => place[a.status] - place[b.status] || cost(a) - cost(b));
  const rows = sorted.map((entry) => [
    entry.run === best ? `${entry.run} *` : entry.run,
    entry.status,
    entry.steps === null ? "" : String(entry.steps),
    metricOf(entry, metric)?.toFixed(4) ?? "",
    entry.train_loss === null ? "" : entry.train_loss.toFixed(4),
    bytes(entry.adapter_bytes),
    entry.train_tokens_per_second === null ? "" : String(Math.round(entry.train_tokens_per_second)),
  ]);
  return columns([["run", "status", "steps", metric, "train_loss", "adapter", "tokens/s"], ...rows]);
}
