import type { RunState } from "../checkpoint/index.js";
import {
  type AdapterEngine,
  ALONE,
  freeTensors,
  MOST_LEARNING_RATES,
  type Ranks,
  type Readings,
} from "../native/index.js";
import { type Cadence, isDue } from "./cadence.js";
import { checkFinite, magnitude } from "./diverged.js";
import { EarlyStopping, type EarlyStoppingOptions, type Metric } from "./early-stopping.js";
import { evaluate } from "./evaluate.js";
import type { EvalMetrics, Reporter, StepMetrics, Summary } from "./events.js";
import { Interval } from "./interval.js";
import type { Keeper, Reached } from "./keeper.js";
import { checkLossScale, type LossScaling, lossScaleOf } from "./loss-scale.js";
import { MatmulPeak } from "./peak.js";
import { RankTimes } from "./rank-times.js";
import { countSteps, countWarmup, learningRateFactor, type Scheduler, type Steps } from "./schedule.js";
import { Totals } from "./totals.js";
import { type Turn, Turns } from "./turns.js";
import { type Dataset, type Window, windows } from "./windows.js";

export interface TrainRun {
  engine: AdapterEngine;
  /** Ranks that share the micro-batches of a step and the batches of an evaluation; each of them makes this run. */
  ranks?: Ranks | undefined;
  /** FLOP that a step asks of the model. */
  modelFlop(window: Window): number;
  training: Dataset;
  validation: Dataset | null;
  batchSize: number;
  evalBatchSize: number;
  /** Micro-batches of a step, of all ranks. */
  accumulation: number;
  epochs: number;
  maxSteps?: number | undefined;
  learningRate: number;
  scheduler: Scheduler;
  warmupRatio: number;
  warmupSteps?: number | undefined;
  weightDecay: number;
  /** LoRA+: factor of the learning rate of B and of vectors. Default 1. */
  loraplusLrRatio?: number;
  maxGradNorm: number;
  /** For fp16 alone. */
  lossScaling?: LossScaling | undefined;
  shuffle: boolean;
  groupByLength: boolean;
  seed: number;
  /** Steps between two lines of metrics. */
  loggingSteps: number;
  evaluating: Cadence;
  /** A saved adapter is evaluated, too, so that the best is known; not where evaluating is switched off. */
  saving: Cadence;
  /** The metric that decides about the best checkpoint and early stopping. */
  metric: Metric;
  earlyStopping?: EarlyStoppingOptions | undefined;
  /** Whether the best checkpoint's adapter is put back at the end. */
  loadBest: boolean;
  saver: Keeper;
  report: Reporter;
  /** The state of the checkpoint to go on from, whose adapter and optimizer state the engine has. */
  resume?: RunState | undefined;
  /** Called between two steps, outside of the steps' time. The engine may write texts. */
  between?: (() => Promise<void>) | undefined;
  /** Called before the first step, before anything is written. */
  begin?: () => void | Promise<void>;
  /** The step in progress is finished and everything is saved. */
  signal?: AbortSignal | undefined;
  /** Of a run beside others on one engine: it has the turn for a step at a time. */
  turn?: Turn | undefined;
  /** Likewise: the peak that they share. */
  peak?: MatmulPeak | undefined;
  /** The micro-batch in progress is finished, nothing is saved, and the run ends with the signal's reason. */
  abort?: AbortSignal | undefined;
}

export interface TrainResult {
  steps: number;
  /** Whether the signal ended the run. */
  aborted: boolean;
  /** Whether it ended early because it got no better. */
  stoppedEarly: boolean;
  /** The last evaluation, and the evaluation of the adapter that was kept. */
  lastEval: EvalMetrics | null;
  bestEval: EvalMetrics | null;
  summary: Summary;
}

/** Fine-tunes the engine's adapter, leaves the best one in it and saves it. */
export function train(run: TrainRun): Promise<TrainResult> {
  return new Loop(run).train();
}

/** A step that is being made. */
interface Step {
  step: number;
  epoch: number;
  /** Number of the first micro-batch after it. */
  nextMicroBatch: number;
}

/** Steps between two readings, at most: by then a loss is noticed that is no number. */
const MOST_UNREAD = MOST_LEARNING_RATES;

class Loop {
  readonly #run: TrainRun;
  readonly #ranks: Ranks;
  /** Of several ranks. */
  readonly #rankTimes: RankTimes | null;
  /** With several ranks: whether one of them was asked to stop. All know it at the same step. */
  #isStopping = false;
  readonly #steps: Steps;
  readonly #warmup: number;
  readonly #interval: Interval;
  readonly #totals: Totals;
  #lastEval: EvalMetrics | null;
  readonly #earlyStopping: EarlyStopping | null;
  /** The last ones, and steps since then. */
  #readings!: Readings;
  #unread = 0;
  /** The step of the last checkpoint that was begun. */
  #savedStep = 0;
  readonly #peak: MatmulPeak;
  readonly #turn: Turn;

  constructor(run: TrainRun) {
    this.#run = run;
    this.#ranks = run.ranks ?? ALONE;
    this.#rankTimes = this.#ranks.size > 1 ? new RankTimes(this.#ranks) : null;
    this.#peak = run.peak ?? new MatmulPeak(run.engine);
    this.#turn = run.turn ?? new Turns().join();
    this.#steps = countSteps({ ...run, rows: run.training.length });
    this.#warmup = countWarmup(this.#steps.total, run.warmupRatio, run.warmupSteps);
    this.#interval = new Interval(run.resume?.interval, this.#turn.now);
    this.#totals = new Totals(run.resume?.totals, this.#turn.now);
    this.#lastEval = run.resume?.last_eval ?? null;
    this.#earlyStopping = run.earlyStopping
      ? new EarlyStopping(run.earlyStopping, run.resume?.early_stopping ?? undefined, run.metric)
      : null;
  }

  async train(): Promise<TrainResult> {
    await this.#turn.take();
    try {
      return await this.#train();
    } catch (error) {
      // Nothing is written any more once a run has ended; the error that ended it is the one to tell.
      await this.#run.saver.settle().catch(() => {});
      throw error;
    } finally {
      this.#turn.give();
    }
  }

  async #train(): Promise<TrainResult> {
    const run = this.#run;
    const { total } = this.#steps;
    await this.#beginReadings();
    let done = 0;
    let epoch = 0;
    let nextMicroBatch = 0;
    if (run.resume) {
      done = run.resume.step;
      epoch = run.resume.epoch;
      nextMicroBatch = run.resume.next_micro_batch;
      await this.#begin();
      if (done < total && run.resume.total_steps !== total) await this.#tellNewSchedule(run.resume);
      await this.#makeUp(run.resume);
    }
    const isFinished = done >= total || (done > 0 && this.#isOver());
    if (isFinished) await run.report({ type: "warning", message: this.#nothingLeft(done) });
    await this.#agreeOnStop();
    const isStopped = isFinished || (done > 0 && this.#aborted());
    for (const window of isStopped ? [] : windows(run.training, { ...run, steps: total, done })) {
      if (done === 0) await this.#begin();
      done = window.step;
      epoch = window.epoch;
      const { step, firstIndex, microBatches } = window;
      nextMicroBatch = firstIndex + microBatches.length;
      const at = { step, epoch, nextMicroBatch };
      await this.#optimize(window, at);
      this.#interval.pause();
      await this.#evaluateAndSave(at);
      if (done >= total || this.#aborted() || this.#isOver()) break;
      await run.saver.collect();
      await run.between?.();
      if (this.#aborted()) {
        // It was asked to stop meanwhile, as in a pause.
        if (this.#savedStep < done || run.saver.hasFailed) await this.#save(at, null);
        break;
      }
      this.#interval.resume();
      await this.#turn.pass();
    }
    const stoppedEarly = done < total && this.#isOver();
    const aborted = done < total && !stoppedEarly;
    await this.#turn.during(() => run.saver.settle(true));
    await this.#turn.saved();
    // An interrupted run keeps its present adapter; a whole run its best.
    const bestEval = aborted || !run.loadBest ? null : await run.saver.restoreBest();
    await run.saver.finish(this.#reached({ step: done, epoch, nextMicroBatch }));
    const summary = this.#totals.summary(done, epoch, run.saver.best, this.#readings);
    return { steps: done, aborted, stoppedEarly, lastEval: this.#lastEval, bestEval, summary };
  }

  async #tellNewSchedule({ step, total_steps: before }: RunState): Promise<void> {
    const { total } = this.#steps;
    const message =
      `The run has ${total} steps, in the checkpoint ${before}: it goes on after step ${step} with the optimizer's state, and ` +
      `with the learning rate of a schedule of ${total} steps (${this.#warmup} of warmup). It is not the run that ends after ${before}.`;
    await this.#run.report({ type: "warning", message });
  }

  #nothingLeft(done: number): string {
    const { total } = this.#steps;
    const why = done < total ? "it stopped early" : done > total ? `${total} are asked for` : "no step is left";
    return `The run is finished: ${done} steps are done, and ${why}. Nothing is trained; the adapter is written again.`;
  }

  /** Whether early stopping ends the run. */
  #isOver(): boolean {
    return this.#earlyStopping?.isOver === true;
  }

  #aborted(): boolean {
    return this.#ranks.size > 1 ? this.#isStopping : this.#wasAsked();
  }

  #wasAsked(): boolean {
    return this.#run.signal?.aborted === true;
  }

  /** Between two steps, or within one. */
  async #agreeOnStop(): Promise<void> {
    if (this.#ranks.size === 1) return;
    const [asked] = await this.#ranks.sum([Number(this.#wasAsked())]);
    this.#isStopping = asked! > 0;
  }

  /** The rate that a step uses. The schedule stands still in skipped steps. */
  #learningRate(step: number, skipped: number): number {
    const { scheduler, learningRate } = this.#run;
    return learningRate * learningRateFactor(scheduler, step - 1 - skipped, this.#warmup, this.#steps.total);
  }

  /** For each number of steps that may have been skipped since the last reading. */
  #learningRates(step: number): number[] {
    const { skippedSteps } = this.#readings;
    const possible = this.#run.lossScaling ? this.#unread + 1 : 1;
    return Array.from({ length: possible }, (_, i) => this.#learningRate(step, skippedSteps + i));
  }

  /** Sets the readings of the run so far; the engine may have had another run before. */
  async #beginReadings(): Promise<void> {
    const { engine, resume, lossScaling } = this.#run;
    const scale = resume?.loss_scale ?? { scale: lossScaling?.initial ?? 1, good_steps: 0, skipped: 0 };
    await engine.setReadings({
      windowLoss: 0,
      intervalLosses: resume?.interval.losses ?? 0,
      intervalSteps: resume?.interval.steps ?? 0,
      totalLosses: resume?.totals.losses ?? 0,
      totalSteps: resume?.totals.steps ?? 0,
      steps: resume?.step ?? 0,
      skippedSteps: scale.skipped,
      lossScale: lossScaling ? scale.scale : 1,
      goodSteps: scale.good_steps,
      badStep: 0,
    });
    this.#readings = await engine.readings();
  }

  /** Waits for the steps so far. @throws LowrankError E_NAN where one of them has a loss or norm that is no number */
  async #read({ step }: Step): Promise<Readings> {
    if (this.#unread === 0) return this.#readings;
    const { engine, lossScaling, report } = this.#run;
    const before = this.#readings.skippedSteps;
    const now = await engine.readings();
    this.#readings = now;
    this.#unread = 0;
    const { badStep, badLoss, badNorm } = now;
    if (!lossScaling) {
      if (badStep > 0) {
        await this.#checkFinite("loss", badLoss, badStep);
        await this.#checkFinite("gradient norm", badNorm, badStep);
      }
      return now;
    }
    // A loss scale is no help against a base that is damaged.
    if (badStep === 1 && !Number.isFinite(badLoss)) await engine.checkWeights();
    const { scale: loss_scale, skipped: skipped_steps } = lossScaleOf(now);
    checkLossScale(loss_scale, step);
    if (skipped_steps > before) await report({ type: "skipped", step, loss_scale, skipped_steps });
    return now;
  }

  async #begin(): Promise<void> {
    const { total, perEpoch } = this.#steps;
    await this.#run.begin?.();
    await this.#run.report({ type: "start", steps: total, steps_per_epoch: perEpoch, warmup_steps: this.#warmup });
  }

  /** A run that was stopped did not take the time to evaluate; one that goes on does so first. */
  async #makeUp({ step, epoch, next_micro_batch: nextMicroBatch }: RunState): Promise<void> {
    if (this.#lastEval?.step === step || !this.#run.validation || !this.#evaluates(step)) return;
    this.#interval.pause();
    await this.#evaluateAndSave({ step, epoch, nextMicroBatch });
    this.#interval.resume();
  }

  async #optimize(window: Window, at: Step): Promise<void> {
    const {
      engine,
      saver,
      report,
      loggingSteps,
      weightDecay,
      loraplusLrRatio = 1,
      maxGradNorm,
      lossScaling,
    } = this.#run;
    const { step } = at;
    const { supervisedTokens: tokens } = window;
    const { rank, size } = this.#ranks;
    await this.#rankTimes?.beginStep();
    for (const [i, { batch }] of window.microBatches.entries()) {
      // A micro-batch's number decides its rows and its masks, whichever rank takes it.
      if (i % size !== rank) continue;
      const isLast = i + size >= window.microBatches.length;
      await engine.forwardBackward(batch, 1 / tokens, window.firstIndex + i, { isLast });
      this.#run.abort?.throwIfAborted();
    }
    this.#rankTimes?.worked();
    await this.#agreeOnStop();
    const learningRate = this.#learningRates(step);
    const growthSteps = lossScaling?.window ?? 0;
    await engine.optimizerStep({ learningRate, weightDecay, loraplusLrRatio, maxGradNorm, tokens, growthSteps });
    this.#unread++;
    await this.#rankTimes?.endStep();

    const flop = this.#run.modelFlop(window);
    const samples = window.microBatches.reduce((sum, { batch }) => sum + batch.sequences.length, 0);
    this.#interval.add(window.tokens, flop);
    this.#totals.add(window.tokens, samples, flop);
    const isLogged = step % loggingSteps === 0 || step === this.#steps.total;
    // The first step tells whether the base is damaged.
    const isRead =
      this.#readings.steps === (this.#run.resume?.step ?? 0) ||
      isLogged ||
      this.#aborted() ||
      this.#evaluates(step) ||
      this.#saves(step) ||
      this.#unread >= MOST_UNREAD;
    const loss = isRead ? (await this.#read(at)).loss : null;
    const tokens_per_s = this.#interval.speed;
    let metrics: StepMetrics | null = null;
    if (isLogged) {
      await this.#keepPeak();
      metrics = this.#interval.metrics(await this.#about(at), this.#peak.flopPerSecond * this.#ranks.size);
      await engine.setReadings({ intervalLosses: 0, intervalSteps: 0 });
      this.#readings = { ...this.#readings, intervalLosses: 0, intervalSteps: 0 };
      saver.note(metrics);
    } else if (this.#aborted()) {
      // For whoever stopped the run, and not of its history: a run that goes on has no line here.
      await this.#read(at);
      if (this.#peak.flopPerSecond === 0) await this.#keepPeak();
      metrics = this.#interval.line(await this.#about(at), this.#peak.flopPerSecond * this.#ranks.size);
    }
    await report({ type: "step", step, loss, tokens_per_s, metrics });
    const message = metrics && this.#peak.warning(metrics.mfu);
    if (message) await report({ type: "warning", message });
  }

  /** A line of metrics but for its speed, of a step that was just read. */
  async #about({ step, epoch }: Step): Promise<Omit<StepMetrics, "tokens_per_s" | "mfu">> {
    const { intervalLosses, intervalSteps, gradNorm: grad_norm, lossScale: loss_scale, skippedSteps } = this.#readings;
    const line = { step, epoch, loss: intervalLosses / intervalSteps, grad_norm };
    const ofRanks = await this.#rankTimes?.metrics();
    if (!this.#run.lossScaling) return { ...line, learning_rate: this.#learningRate(step, 0), ...ofRanks };
    const before = skippedSteps - Number(!Number.isFinite(grad_norm));
    const scale = { loss_scale, skipped_steps: skippedSteps };
    return { ...line, learning_rate: this.#learningRate(step, before), ...scale, ...ofRanks };
  }

  /** For a line of metrics, and not of its time. */
  async #keepPeak(): Promise<void> {
    const reached = this.#interval.rate;
    this.#interval.pause();
    await this.#peak.keepUp(reached);
    this.#interval.resume();
  }

  async #evaluateAndSave(at: Step): Promise<void> {
    let evaluation: EvalMetrics | null = null;
    if (!this.#aborted() && this.#evaluates(at.step)) evaluation = await this.#evaluate(at);
    const endsEarly = this.#isOver() && this.#run.saving.strategy !== "no";
    if (this.#saves(at.step) || this.#aborted() || endsEarly) await this.#save(at, evaluation);
  }

  #saves(step: number): boolean {
    return isDue(this.#run.saving, step, this.#steps.perEpoch, this.#steps.total);
  }

  #evaluates(step: number): boolean {
    const { evaluating } = this.#run;
    if (evaluating.strategy === "no") return false;
    return this.#saves(step) || isDue(evaluating, step, this.#steps.perEpoch, this.#steps.total);
  }

  async #evaluate(at: Step): Promise<EvalMetrics | null> {
    const { engine, validation, saver, report, signal, abort, evalBatchSize: batchSize } = this.#run;
    if (!validation) return null;
    const onProgress = (done: number, total: number) => report({ type: "evaluating", done, total });
    const found = await evaluate(engine, validation, { batchSize, signal, abort, onProgress, ranks: this.#ranks });
    if (!found) return null;
    await this.#checkFinite("evaluation loss", found.eval_loss, at.step);
    const { step, epoch } = at;
    const metrics = { step, epoch, ...found };
    await report({ type: "eval", metrics });
    saver.note(metrics);
    this.#lastEval = metrics;
    this.#earlyStopping?.note(metrics[this.#run.metric] ?? metrics.eval_loss);
    if (this.#isOver()) {
      const { patience } = this.#run.earlyStopping!;
      const message = `Stopped early: ${this.#run.metric} has not improved in ${patience} evaluations.`;
      await report({ type: "warning", message });
    }
    return metrics;
  }

  async #save(at: Step, evaluation: EvalMetrics | null): Promise<void> {
    const { engine, saver } = this.#run;
    await this.#read(at);
    await this.#turn.saved();
    // The last step may have ruined the adapter without a loss having shown it yet.
    const adapter = await engine.adapter();
    const size = await magnitude(adapter);
    freeTensors(adapter);
    await this.#checkFinite("adapter's magnitude", size, at.step);
    await saver.checkpoint(this.#reached(at), evaluation);
    this.#turn.saves(saver.written());
    this.#savedStep = at.step;
  }

  #reached({ step, epoch, nextMicroBatch }: Step): Reached {
    const { batchSize, loggingSteps, evaluating, saving } = this.#run;
    const { total: maxSteps, perEpoch } = this.#steps;
    const intervals = { loggingSteps, evalSteps: evaluating.every, saveSteps: saving.every };
    const run = { maxSteps, epochs: Math.ceil(maxSteps / perEpoch), batchSize, ...intervals };
    const state = {
      interval: this.#interval.state(this.#readings),
      totals: this.#totals.state(this.#readings),
      last_eval: this.#lastEval,
      early_stopping: this.#earlyStopping?.state ?? null,
      loss_scale: this.#run.lossScaling ? lossScaleOf(this.#readings) : null,
    };
    const cursor = { step, epoch, total_steps: maxSteps, next_micro_batch: nextMicroBatch };
    return { progress: { ...run, step, epoch }, state: { ...cursor, ...state } };
  }

  async #checkFinite(what: string, value: number, step: number): Promise<void> {
    const { saver } = this.#run;
    const learningRate = this.#learningRate(step, this.#run.lossScaling ? this.#readings.skippedSteps : 0);
    if (!Number.isFinite(value)) {
      await this.#run.engine.checkWeights();
      // The error names the last checkpoint: it may be being written.
      await saver.settle();
    }
    checkFinite(what, value, { step, learningRate, lastCheckpoint: saver.lastFolder });
  }
}
