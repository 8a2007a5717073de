/** Metrics that a run can be judged by; smaller is better. */
export const METRICS = ["eval_loss", "eval_perplexity"] as const;
export type Metric = (typeof METRICS)[number];

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
  readonly #options: EarlyStoppingOptions;
  #best: number | null;
  #waited: number;

  constructor(options: EarlyStoppingOptions, begun: EarlyStoppingState = { best: null, waited: 0 }) {
    this.#options = options;
    this.#best = begun.best;
    this.#waited = begun.waited;
  }

  get state(): EarlyStoppingState {
    return { best: this.#best, waited: this.#waited };
  }

  note(metric: number): void {
    const best = this.#best;
    const improved = best === null || (metric < best && best - metric > this.#options.threshold);
    this.#waited = improved ? 0 : this.#waited + 1;
    // The best is the best, however little better it is.
    if (best === null || metric < best) this.#best = metric;
  }

  get isOver(): boolean {
    return this.#waited >= this.#options.patience;
  }
}
