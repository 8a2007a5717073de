import type { Readings } from "../native/index.js";
import type { StepMetrics } from "./events.js";

/** The part of an interval that a checkpoint keeps. */
export interface IntervalState {
  losses: number;
  steps: number;
  tokens: number;
  flop: number;
  milliseconds: number;
}

/** The sums since the last line of metrics; the engine has the sums of the losses. */
export class Interval {
  #tokens: number;
  #flop: number;
  /** Time of work before the pause in progress, if any. */
  #milliseconds: number;
  readonly #now: () => number;
  #since: number;

  /** @param now the run's clock, in milliseconds */
  constructor(
    begun: Omit<IntervalState, "losses" | "steps"> = { tokens: 0, flop: 0, milliseconds: 0 },
    now = () => performance.now(),
  ) {
    this.#now = now;
    this.#since = now();
    this.#tokens = begun.tokens;
    this.#flop = begun.flop;
    this.#milliseconds = begun.milliseconds;
  }

  /** While paused. */
  state({ intervalLosses: losses, intervalSteps: steps }: Readings): IntervalState {
    return { losses, steps, tokens: this.#tokens, flop: this.#flop, milliseconds: this.#milliseconds };
  }

  add(tokens: number, flop: number): void {
    this.#tokens += tokens;
    this.#flop += flop;
  }

  /** Stops the clock, as while evaluating and saving. */
  pause(): void {
    this.#milliseconds += this.#now() - this.#since;
  }

  resume(): void {
    this.#since = this.#now();
  }

  /** FLOP/s so far. */
  get rate(): number {
    return this.#flop / this.#seconds;
  }

  /** Tokens a second so far. */
  get speed(): number {
    return this.#tokens / this.#seconds;
  }

  get #seconds(): number {
    return (this.#milliseconds + this.#now() - this.#since) / 1000;
  }

  /** The line for this step; the interval goes on. @param peak FLOP/s of a product at its best */
  line(about: Omit<StepMetrics, "tokens_per_s" | "mfu">, peak: number): StepMetrics {
    const seconds = this.#seconds;
    const speed = { tokens_per_s: this.#tokens / seconds, mfu: this.#flop / seconds / peak };
    return { ...about, ...speed };
  }

  /** The line for this step; a new interval begins. */
  metrics(...about: Parameters<Interval["line"]>): StepMetrics {
    const line = this.line(...about);
    this.#tokens = this.#flop = this.#milliseconds = 0;
    this.#since = this.#now();
    return line;
  }
}
