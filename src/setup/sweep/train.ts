// The runs of a sweep, a step of each in turn, on one engine.
import { LowrankError } from "../../base/errors.js";
import { type Engine, Slot } from "../../native/index.js";
import { MatmulPeak, type Reporter, type RunResult, type TrainerEvent, Turns } from "../../trainer/index.js";
import type { RunOptions } from "../run/options.js";
import { beginWith } from "../run/prepare.js";
import { stepsOf } from "../run/steps.js";
import { type Prepared, trainPrepared } from "../run/train.js";
import { Judge, type Rule } from "./judge.js";
import { checkLengths } from "./rule.js";
import type { SweepRun } from "./runs.js";

/** A run whose adapter has its place in the engine. */
export interface PreparedRun extends SweepRun<RunOptions> {
  prepared: Prepared;
  /** Before its first step, before anything is written. */
  begin: () => Promise<void>;
  /** After its last one. */
  release: () => void;
}

/** finished: to its end; stopped: by the stopping rule; interrupted: by the signal; failed: its loss was no number. */
export type Status = "finished" | "stopped" | "interrupted" | "failed";

export interface Outcome {
  status: Status;
  /** Null where the run failed. */
  result: RunResult | null;
  error: LowrankError | null;
}

export interface SweepWork {
  rule: Rule;
  /** Told one event at a time. */
  report: (run: string, event: TrainerEvent) => void | Promise<void>;
  /** Finishes the steps in progress, saves and ends. */
  signal: AbortSignal;
  /** Ends after the micro-batch in progress; nothing is saved. */
  abort?: AbortSignal | undefined;
}

/** Whether the loss of a run was no number. */
const isDiverged = (error: unknown): error is LowrankError => error instanceof LowrankError && error.code === "E_NAN";

/** Metrics of the evaluations before its last step that a run which goes on has had. */
function begunWith({ options, prepared }: PreparedRun): number[] {
  const { total } = stepsOf(options, prepared.texts.training.length);
  const lines = (prepared.resumption?.history ?? []) as Record<string, unknown>[];
  const evaluations = lines.filter(({ step, eval_loss }) => eval_loss !== undefined && Number(step) < total);
  const bySteps = new Map(evaluations.map((line) => [line.step, metricOf(options, line)]));
  return [...bySteps.values()];
}

/** The metric that runs are compared by. Perplexities are compared by their losses, which do not overflow. */
function metricOf({ metric_for_best_model: metric }: RunOptions, evaluation: object): number {
  const values = evaluation as Record<string, number>;
  return (metric === "eval_perplexity" ? undefined : values[metric]) ?? values.eval_loss!;
}

/**
 * Trains them all. A run whose loss is no number is a result; any other failure ends the sweep, after the other runs have saved.
 * @param engine whose adapters are the runs', in order
 */
export async function trainSweep(
  engine: Engine,
  runs: readonly PreparedRun[],
  { rule, report, signal, abort }: SweepWork,
): Promise<Outcome[]> {
  checkLengths(rule.kind, runs, runs[0]!.prepared.texts.training.length);
  const judge = new Judge(rule, runs[0]!.options.metric_for_best_model, runs.map(begunWith));
  const turns = new Turns();
  const peak = new MatmulPeak(engine);
  const fatal = new AbortController();
  let reported: Promise<void> = Promise.resolve();
  const tell = (run: string, event: TrainerEvent) => {
    reported = reported.then(() => report(run, event));
    return reported;
  };
  const end = () => judge.end();
  for (const each of [signal, abort, fatal.signal]) each?.addEventListener("abort", end);
  const left = new Set(runs.keys());
  let allLeft = () => {};
  const all = new Promise<void>((resolve) => {
    allLeft = resolve;
  });
  /** The run computes nothing more: the others do not wait for it, and its memory is theirs. */
  const leave = async (i: number) => {
    if (!left.delete(i)) return;
    judge.leave(i);
    // Its parameters, gradients and moments are in its files.
    await engine.removeAdapter(i).catch(() => {});
    if (left.size === 0) allLeft();
  };

  const train = async (run: PreparedRun, i: number): Promise<Outcome> => {
    const { name, options, prepared } = run;
    const slot = new Slot(engine, i);
    const stop = new AbortController();
    const turn = joined[i]!;
    let steps = 0;
    const reporter: Reporter = async (event) => {
      await tell(name, event);
      if (event.type === "start") steps = event.steps;
      if (event.type !== "eval" || event.metrics.step >= steps || fatal.signal.aborted) return;
      if (signal.aborted || abort?.aborted) return;
      if (await turn.during(() => judge.note(i, metricOf(options, event.metrics)))) return;
      stop.abort();
      const message = `stopped after step ${event.metrics.step} by ${rule.kind}: others are better`;
      await tell(name, { type: "warning", message });
    };
    try {
      // The others may not have come as far as its checkpoint.
      if (!(await judge.goesOn(i))) stop.abort();
      const warnings: string[] = [];
      await beginWith(slot, prepared, (message) => warnings.push(message));
      for (const message of warnings) await tell(name, { type: "warning", message });
      const ends = AbortSignal.any([signal, fatal.signal, stop.signal]);
      const computed = async (error: unknown) => {
        if (error !== undefined && !isDiverged(error)) fatal.abort();
        await leave(i);
        // A report that is drawn takes time and memory, which are not those of training.
        await all;
      };
      const work = { engine: slot, report: reporter, signal: ends, abort, begin: run.begin, turn, peak, computed };
      const result = await trainPrepared(options, prepared, work);
      const stopped = result.aborted && judge.isStopped(i);
      return { status: stopped ? "stopped" : result.aborted ? "interrupted" : "finished", result, error: null };
    } catch (error) {
      if (!isDiverged(error)) {
        fatal.abort();
        throw error;
      }
      await tell(name, { type: "warning", message: error.message });
      return { status: "failed", result: null, error };
    } finally {
      await leave(i);
      run.release();
    }
  };

  const joined = runs.map(() => turns.join());
  try {
    const ended = await Promise.allSettled(runs.map(train));
    return ended.map((each) => {
      if (each.status === "rejected") throw each.reason;
      return each.value;
    });
  } finally {
    for (const each of [signal, abort, fatal.signal]) each?.removeEventListener("abort", end);
  }
}
