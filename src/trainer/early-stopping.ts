import type { Evaluation } from "./evaluate.js";

/** Metrics that a run can be judged by: of a language model, and of a classifier. */
export const METRICS = ["eval_loss", "eval_perplexity", "eval_accuracy", "eval_f1"] as const;
export type Metric = (typeof METRICS)[number];

/** Metrics of a classifier alone; larger is better. */
export const LARGER_IS_BETTER: readonly Metric[] = ["eval_accuracy", "eval_f1"];

/** Whether an evaluation is better than the best before it, by their metrics. */
export function isBetter(metric: Metric, found: number, best: number): boolean {
  return LARGER_IS_BETTER.includes(metric) ? found > best : found < best;
}

/** Whether an evaluation is the best so far. Perplexities are compared by their losses, which do not overflow. */
export function isBest(metric: Metric, found: Evaluation, best: Evaluation | undefined): boolean {
  const by = metric === "eval_perplexity" ? "eval_loss" : metric;
  return best === undefined || isBetter(by, found[by] ?? found.eval_loss, best[by] ?? best.eval_loss);
}

export interface EarlyStoppingOptions {
  /** Evaluations without an improvement after which a run ends. */
  patience: number;
  /** A smaller improvement is none. */
  threshold: number;
}

/** The part of it that a checkpoint keeps. */
export interface EarlyStoppingState {
  best: number | null;
  /** Evaluations since the last improvement. */
  waited: number;
}

/** Ends a run that gets no better, by the rules of transformers' `EarlyStoppingCallback`. */
export class EarlyStopping {
  readonly #metric: Metric;
  readonly #options: EarlyStoppingOptions;
  #best: number | null;
  #waited: number;

  /** @param metric the metric that is noted */
  constructor(
    options: EarlyStoppingOptions,
    begun: EarlyStoppingState = { best: null, waited: 0 },
    metric: Metric = "eval_loss",
  ) {
    this.#metric = metric;
    this.#options = options;
    this.#best = begun.best;
    this.#waited = begun.waited;
  }

  get state(): EarlyStoppingState {
    return { best: this.#best, waited: this.#waited };
  }

  note(metric: number): void {
    const best = this.#best;
    const isBest = best === null || isBetter(this.#metric, metric, best);
    const improved = best === null || (isBest && Math.abs(best - metric) > this.#options.threshold);
    this.#waited = improved ? 0 : this.#waited + 1;
    // The best is the best, however little better it is.
    if (isBest) this.#best = metric;
  }

  get isOver(): boolean {
    return this.#waited >= this.#options.patience;
  }
}
