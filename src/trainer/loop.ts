import type { Engine } from "../engine.js";
import { checkFinite, magnitude } from "./diverged.js";
import { evaluate } from "./evaluate.js";
import type { EvalMetrics, Reporter } from "./events.js";
import { Interval } from "./interval.js";
import type { Saver } from "./saver.js";
import { countSteps, countWarmup, learningRateFactor, type Scheduler, type Steps } from "./schedule.js";
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

/** Fine-tunes the engine's adapter, leaves the best one in it and saves it. */
export function train(run: TrainRun): Promise<TrainResult> {
  return new Loop(run).train();
}

/** A step that is being made. */
interface Step {
  window: Window;
  learningRate: number;
}

class Loop {
  readonly #run: TrainRun;
  readonly #steps: Steps;
  readonly #warmup: number;
  readonly #interval = new Interval();
  #skipped = 0;
  #lastEval: EvalMetrics | null = null;

  constructor(run: TrainRun) {
    this.#run = run;
    this.#steps = countSteps({ ...run, rows: run.training.length });
    this.#warmup = countWarmup(this.#steps.total, run.warmupRatio, run.warmupSteps);
  }

  async train(): Promise<TrainResult> {
    const run = this.#run;
    const { total } = this.#steps;
    let done = 0;
    for await (const window of windows(run.training, { ...run, steps: total })) {
      checkSupervised(window, run.where);
      if (done === 0) this.#begin();
      this.#countSkipped(window);
      done = window.step;
      const factor = learningRateFactor(run.scheduler, done - 1, this.#warmup, total);
      const step = { window, learningRate: run.learningRate * factor };
      await this.#optimize(step);
      this.#interval.pause();
      await this.#evaluateAndSave(step);
      this.#interval.resume();
      if (this.#aborted()) break;
    }
    // An interrupted run keeps what it has; a whole one its best.
    const bestEval = done < total ? null : await run.saver.restoreBest();
    await run.saver.finish();
    return { steps: done, aborted: done < total, lastEval: this.#lastEval, bestEval };
  }

  #aborted(): boolean {
    return this.#run.signal?.aborted === true;
  }

  #begin(): void {
    const { total, perEpoch } = this.#steps;
    this.#run.begin?.();
    this.#run.report({ type: "start", steps: total, steps_per_epoch: perEpoch, warmup_steps: this.#warmup });
  }

  /** Each epoch meets the same texts again, so the first one's count is theirs. */
  #countSkipped({ step, skipped }: Window): void {
    const { perEpoch, total } = this.#steps;
    if (step > perEpoch) return;
    this.#skipped += skipped;
    if (this.#skipped === 0 || step !== Math.min(perEpoch, total)) return;
    const message = `Skipped ${this.#skipped} texts shorter than two tokens: they teach nothing.`;
    this.#run.report({ type: "warning", message });
  }

  async #optimize(at: Step): Promise<void> {
    const { engine, saver, report, loggingSteps, weightDecay, maxGradNorm } = this.#run;
    const { window, learningRate } = at;
    const { step, supervisedTokens } = window;
    let sum = 0;
    for (const [i, { batch }] of window.microBatches.entries()) {
      if (batch) sum += await engine.forwardBackward(batch, 1 / supervisedTokens, window.firstIndex + i);
    }
    const loss = sum / supervisedTokens;
    this.#checkFinite("loss", loss, at);
    const gradNorm = await engine.optimizerStep({ learningRate, weightDecay, maxGradNorm });
    this.#checkFinite("gradient norm", gradNorm, at);

    this.#interval.add(loss, window.tokens);
    const logs = step % loggingSteps === 0 || step === this.#steps.total || this.#aborted();
    const metrics = logs ? this.#interval.metrics(step, window.epoch, gradNorm, learningRate) : null;
    if (metrics) saver.note(metrics);
    report({ type: "step", step, loss, metrics });
  }

  async #evaluateAndSave(at: Step): Promise<void> {
    const { evalSteps, saveSteps } = this.#run;
    const { step } = at.window;
    const saves = step % saveSteps === 0 || step === this.#steps.total;
    let evaluation: EvalMetrics | null = null;
    if (!this.#aborted() && (saves || step % evalSteps === 0)) evaluation = await this.#evaluate(at);
    if (saves || this.#aborted()) await this.#save(at, evaluation);
  }

  async #evaluate(at: Step): Promise<EvalMetrics | null> {
    const { engine, validation, saver, report, signal, evalBatchSize: batchSize } = this.#run;
    if (!validation) return null;
    const onProgress = (done: number, total: number) => report({ type: "evaluating", done, total });
    const found = await evaluate(engine, validation, { batchSize, signal, onProgress });
    if (!found) return null;
    this.#checkFinite("evaluation loss", found.eval_loss, at);
    const { step, epoch } = at.window;
    const metrics = { step, epoch, ...found };
    report({ type: "eval", metrics });
    saver.note(metrics);
    this.#lastEval = metrics;
    return metrics;
  }

  async #save(at: Step, evaluation: EvalMetrics | null): Promise<void> {
    const { engine, saver, batchSize, loggingSteps, evalSteps, saveSteps } = this.#run;
    const { total: maxSteps, perEpoch } = this.#steps;
    const { step, epoch } = at.window;
    // The last step may have ruined the adapter without a loss having shown it yet.
    this.#checkFinite("adapter's magnitude", magnitude(await engine.adapter()), at);
    const intervals = { loggingSteps, evalSteps, saveSteps };
    const run = { maxSteps, epochs: Math.ceil(maxSteps / perEpoch), batchSize, ...intervals };
    await saver.checkpoint({ ...run, step, epoch }, evaluation);
  }

  #checkFinite(what: string, value: number, { window, learningRate }: Step): void {
    checkFinite(what, value, { step: window.step, learningRate, lastCheckpoint: this.#run.saver.lastFolder });
  }
}
