import type { RunState } from "../checkpoint/index.js";
import type { EvalMetrics, Summary } from "./events.js";

type TotalsState = RunState["totals"];

/** Totals of a run since its first step, over all its starts. */
export class Totals {
  #state: TotalsState;
  readonly #since = performance.now();

  constructor(begun: TotalsState = { milliseconds: 0, losses: 0, steps: 0, tokens: 0, samples: 0, flop: 0 }) {
    this.#state = begun;
  }

  get state(): TotalsState {
    return { ...this.#state, milliseconds: this.#state.milliseconds + performance.now() - this.#since };
  }

  /** A step's. A loss that is no number, of a step that fp16 skips, is not part of the mean. */
  add(loss: number, tokens: number, samples: number, flop: number): void {
    const s = this.#state;
    const isLoss = Number.isFinite(loss);
    this.#state = {
      ...s,
      losses: s.losses + (isLoss ? loss : 0),
      steps: s.steps + Number(isLoss),
      tokens: s.tokens + tokens,
      samples: s.samples + samples,
      flop: s.flop + flop,
    };
  }

  summary(step: number, epoch: number, best: EvalMetrics | null): Summary {
    const { milliseconds, losses, steps, tokens, samples, flop } = this.state;
    const seconds = milliseconds / 1000;
    return {
      step,
      epoch,
      train_runtime: seconds,
      train_samples_per_second: samples / seconds,
      train_steps_per_second: step / seconds,
      train_loss: losses / steps,
      total_flos: flop,
      train_tokens: tokens,
      train_tokens_per_second: tokens / seconds,
      ...(best ? { best_step: best.step, best_eval_loss: best.eval_loss } : {}),
    };
  }
}
