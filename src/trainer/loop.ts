import type { Engine, OptimizerOptions } from "../engine.js";
import { LowrankError } from "../errors.js";
import { evaluate } from "./evaluate.js";
import type { EvalMetrics, Reporter } from "./events.js";
import { Interval } from "./interval.js";
import type { Saver } from "./saver.js";
import { countSteps, countWarmup, learningRateFactor, type Scheduler } from "./schedule.js";
import { checkSupervised, type Dataset, type Window, windows } from "./windows.js";

export interface TrainRun {
  engine: Engine;
  training: Dataset;
  validation: Dataset | null;
  /** Names a row of the training data in an error. */
  where(row: number): string;
  batchSize: number;
  evalBatchSize: number;
  accumulation: number;
  epochs: number;
  maxSteps?: number | undefined;
  learningRate: number;
  scheduler: Scheduler;
  warmupRatio: number;
  warmupSteps?: number | undefined;
  weightDecay: number;
  maxGradNorm: number;
  shuffle: boolean;
  seed: number;
  /** Steps between two lines of metrics, evaluations and checkpoints. */
  loggingSteps: number;
  evalSteps: number;
  saveSteps: number;
  saver: Saver;
  report: Reporter;
  /** Called once the first step's data is known to be good, before anything is written. */
  begin?: () => void;
  /** The step in progress is finished and everything is saved. */
  signal?: AbortSignal | undefined;
}

export interface TrainResult {
  steps: number;
  /** Whether the signal ended the run. */
  aborted: boolean;
  /** The last evaluation, and that of the adapter that was kept. */
  lastEval: EvalMetrics | null;
  bestEval: EvalMetrics | null;
}

/** @throws LowrankError E_NAN */
function checkFinite(what: string, value: number, step: number, learningRate: number, saver: Saver): void {
  if (Number.isFinite(value)) return;
  const kept = saver.lastFolder ? `The last checkpoint is ${saver.lastFolder}.` : "There is no checkpoint yet.";
  throw new LowrankError(
    "E_NAN",
    `Step ${step}: the ${what} is ${value}, at learning rate ${learningRate}. Training has diverged and was stopped. ` +
      `Try a lower --learning_rate, more --warmup_steps, a lower --max_grad_norm or --precision fp32. ${kept}`,
  );
}

/** Fine-tunes the engine's adapter, leaves the best one in it and saves it. */
export async function train(run: TrainRun): Promise<TrainResult> {
  const { engine, validation, saver, report, signal } = run;
  const steps = countSteps({ ...run, rows: run.training.length });
  const warmup = countWarmup(steps.total, run.warmupRatio, run.warmupSteps);
  const interval = new Interval();
  let skipped = 0;
  let lastEval: EvalMetrics | null = null;
  let step = 0;
  const aborted = () => signal?.aborted === true;

  async function optimize(window: Window, options: OptimizerOptions): Promise<{ loss: number; gradNorm: number }> {
    let sum = 0;
    for (const [i, { batch }] of window.microBatches.entries()) {
      if (batch) sum += await engine.forwardBackward(batch, 1 / window.supervisedTokens, window.firstIndex + i);
    }
    const loss = sum / window.supervisedTokens;
    checkFinite("loss", loss, window.step, options.learningRate, saver);
    const gradNorm = await engine.optimizerStep(options);
    checkFinite("gradient norm", gradNorm, window.step, options.learningRate, saver);
    return { loss, gradNorm };
  }

  async function evaluateAt({ step, epoch }: Window, learningRate: number): Promise<EvalMetrics | null> {
    if (!validation) return null;
    const onProgress = (done: number, total: number) => report({ type: "evaluating", done, total });
    const found = await evaluate(engine, validation, { batchSize: run.evalBatchSize, signal, onProgress });
    if (!found) return null;
    const metrics = { step, epoch, ...found };
    checkFinite("evaluation loss", found.eval_loss, step, learningRate, saver);
    report({ type: "eval", metrics });
    saver.note(metrics);
    return metrics;
  }

  for await (const window of windows(run.training, { ...run, steps: steps.total })) {
    checkSupervised(window, run.where);
    if (step === 0) {
      run.begin?.();
      report({ type: "start", steps: steps.total, steps_per_epoch: steps.perEpoch, warmup_steps: warmup });
    }
    // Each epoch meets the same texts again: the first one's count is theirs.
    if (step < steps.perEpoch) skipped += window.skipped;
    if (skipped > 0 && (window.step === steps.perEpoch || window.step === steps.total)) {
      report({ type: "warning", message: `Skipped ${skipped} texts shorter than two tokens: they teach nothing.` });
    }
    step = window.step;
    const learningRate = run.learningRate * learningRateFactor(run.scheduler, step - 1, warmup, steps.total);
    const { weightDecay, maxGradNorm } = run;
    const { loss, gradNorm } = await optimize(window, { learningRate, weightDecay, maxGradNorm });
    interval.add(loss, window.tokens);

    const metrics =
      step % run.loggingSteps === 0 || step === steps.total || aborted()
        ? interval.metrics(step, window.epoch, gradNorm, learningRate)
        : null;
    if (metrics) saver.note(metrics);
    report({ type: "step", step, loss, metrics });

    interval.pause();
    const saves = step % run.saveSteps === 0 || step === steps.total;
    let evaluation: EvalMetrics | null = null;
    if (!aborted() && (saves || step % run.evalSteps === 0)) evaluation = await evaluateAt(window, learningRate);
    lastEval = evaluation ?? lastEval;
    if (saves || aborted()) {
      const { loggingSteps, evalSteps, saveSteps, batchSize } = run;
      const all = { maxSteps: steps.total, epochs: Math.ceil(steps.total / steps.perEpoch) };
      const progress = { ...all, step, epoch: window.epoch, batchSize, loggingSteps, evalSteps, saveSteps };
      await saver.checkpoint(progress, evaluation);
    }
    interval.resume();
    if (aborted()) break;
  }

  // An interrupted run keeps what it has; a whole one its best.
  const bestEval = step < steps.total ? null : await saver.restoreBest();
  await saver.finish();
  return { steps: step, aborted: step < steps.total, lastEval, bestEval };
}
