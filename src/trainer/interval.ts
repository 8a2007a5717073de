import type { StepMetrics } from "./events.js";

/** What is kept of an interval in a checkpoint. */
export interface IntervalState {
  losses: number;
  steps: number;
  tokens: number;
  milliseconds: number;
}

/** What happened since the last line of metrics. */
export class Interval {
  #losses: number;
  #steps: number;
  #tokens: number;
  /** Of work before the pause in progress, if any. */
  #milliseconds: number;
  #since = performance.now();

  constructor(begun: IntervalState = { losses: 0, steps: 0, tokens: 0, milliseconds: 0 }) {
    this.#losses = begun.losses;
    this.#steps = begun.steps;
    this.#tokens = begun.tokens;
    this.#milliseconds = begun.milliseconds;
  }

  /** While paused. */
  get state(): IntervalState {
    return { losses: this.#losses, steps: this.#steps, tokens: this.#tokens, milliseconds: this.#milliseconds };
  }

  /** A loss that is no number, of a step that fp16 skips, is not part of the mean. */
  add(loss: number, tokens: number): void {
    if (Number.isFinite(loss)) {
      this.#losses += loss;
      this.#steps++;
    }
    this.#tokens += tokens;
  }

  /** Stops the clock, as while evaluating and saving. */
  pause(): void {
    this.#milliseconds += performance.now() - this.#since;
  }

  resume(): void {
    this.#since = performance.now();
  }

  /** The line for this step; the interval goes on. */
  line(about: Omit<StepMetrics, "loss" | "tokens_per_s">): StepMetrics {
    const seconds = (this.#milliseconds + performance.now() - this.#since) / 1000;
    const { step, epoch, ...rest } = about;
    return { step, epoch, loss: this.#losses / this.#steps, ...rest, tokens_per_s: this.#tokens / seconds };
  }

  /** The line for this step; a new interval begins. */
  metrics(about: Parameters<Interval["line"]>[0]): StepMetrics {
    const line = this.line(about);
    this.#losses = this.#steps = this.#tokens = this.#milliseconds = 0;
    this.#since = performance.now();
    return line;
  }
}
