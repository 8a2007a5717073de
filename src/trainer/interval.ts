import type { StepMetrics } from "./events.js";

/** What happened since the last line of metrics. */
export class Interval {
  #losses = 0;
  #steps = 0;
  #tokens = 0;
  /** Of work before the pause in progress, if any. */
  #milliseconds = 0;
  #since = performance.now();

  add(loss: number, tokens: number): void {
    this.#losses += loss;
    this.#steps++;
    this.#tokens += tokens;
  }

  /** Stops the clock, as while evaluating and saving. */
  pause(): void {
    this.#milliseconds += performance.now() - this.#since;
  }

  resume(): void {
    this.#since = performance.now();
  }

  /** The line for this step; a new interval begins. */
  metrics(step: number, epoch: number, gradNorm: number, learningRate: number): StepMetrics {
    const seconds = (this.#milliseconds + performance.now() - this.#since) / 1000;
    const loss = this.#losses / this.#steps;
    const line = { step, epoch, loss, grad_norm: gradNorm, learning_rate: learningRate };
    const tokens = this.#tokens;
    this.#losses = this.#steps = this.#tokens = this.#milliseconds = 0;
    this.#since = performance.now();
    return { ...line, tokens_per_s: tokens / seconds };
  }
}
