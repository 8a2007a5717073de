import type { RunState, TrainerProgress } from "../checkpoint/index.js";
import type { AdapterEngine, AdapterTensors } from "../native/index.js";
import { isBest, type Metric } from "./early-stopping.js";
import type { EvalMetrics, Reporter, StepMetrics } from "./events.js";

/** How far a run is, for whoever goes on from there. */
export interface Reached {
  progress: Omit<TrainerProgress, "history" | "best">;
  state: Omit<RunState, "settings" | "cpu" | "best_eval">;
}

/** Keeps the results of a run: on disk (`Saver`) or in memory. */
export interface Keeper {
  /** Folder of the last checkpoint, if any. */
  readonly lastFolder: string | null;
  /** The best evaluation so far, if any. */
  readonly best: EvalMetrics | null;
  /** Whether the last checkpoint that was waited for could not be written. */
  readonly hasFailed: boolean;
  /** Remembers a line of metrics. */
  note(metrics: StepMetrics | EvalMetrics): void;
  /** @param evaluation of this very step, where there is one */
  checkpoint(reached: Reached, evaluation: EvalMetrics | null): Promise<void>;
  /** Tells of a checkpoint that has been written meanwhile. @throws LowrankError E_WRITE where it could not be */
  collect(): Promise<void>;
  /** The end of the checkpoint that is being written, well or not. */
  written(): Promise<void>;
  /**
   * Waits for a checkpoint that is being written.
   * @param isLast whether the run ends with it
   * @throws LowrankError E_WRITE
   */
  settle(isLast?: boolean): Promise<void>;
  /** Puts the best adapter back into the engine, if it is not there now. @returns its evaluation, if any */
  restoreBest(): Promise<EvalMetrics | null>;
  /** The run is over: keeps the engine's present state. */
  finish(reached: Reached): Promise<void>;
}

/** For runs that write nothing. */
export class BestInMemory implements Keeper {
  readonly lastFolder = null;
  readonly hasFailed = false;
  readonly #engine: AdapterEngine;
  readonly #report: Reporter;
  readonly #metric: Metric;
  #best: { metrics: EvalMetrics; adapter: AdapterTensors } | null = null;

  /** @param metric that decides about the best evaluation */
  constructor(engine: AdapterEngine, report: Reporter, metric: Metric) {
    this.#engine = engine;
    this.#metric = metric;
    this.#report = report;
  }

  get best(): EvalMetrics | null {
    return this.#best?.metrics ?? null;
  }

  note(): void {}

  async checkpoint(_: unknown, evaluation: EvalMetrics | null): Promise<void> {
    if (!evaluation || !isBest(this.#metric, evaluation, this.#best?.metrics)) return;
    this.#best = { metrics: evaluation, adapter: await this.#engine.adapter() };
  }

  async collect(): Promise<void> {}

  async written(): Promise<void> {}

  async settle(): Promise<void> {}

  async restoreBest(): Promise<EvalMetrics | null> {
    if (!this.#best) return null;
    const { metrics, adapter } = this.#best;
    await this.#engine.setAdapter(adapter);
    await this.#report({ type: "best", step: metrics.step, eval_loss: metrics.eval_loss, folder: null });
    return metrics;
  }

  async finish(): Promise<void> {}
}
