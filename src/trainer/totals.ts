import type { RunState } from "../checkpoint/index.js";
import type { Readings } from "../native/index.js";
import type { EvalMetrics, Summary } from "./events.js";

type TotalsState = RunState["totals"];

/** Totals of a run since its first step, over all its starts; the engine has the totals of the losses. */
export class Totals {
  #state: TotalsState;
  readonly #now: () => number;
  readonly #since: number;

  /** @param now the run's clock, in milliseconds */
  constructor(
    begun: TotalsState = { milliseconds: 0, losses: 0, steps: 0, tokens: 0, samples: 0, flop: 0 },
    now = () => performance.now(),
  ) {
    this.#now = now;
    this.#since = now();
    this.#state = begun;
  }

  state({ totalLosses: losses, totalSteps: steps }: Readings): TotalsState {
    return { ...this.#state, losses, steps, milliseconds: this.#state.milliseconds + this.#now() - this.#since };
  }

  /** A step's. */
  add(tokens: number, samples: number, flop: number): void {
    const s = this.#state;
    this.#state = { ...s, tokens: s.tokens + tokens, samples: s.samples + samples, flop: s.flop + flop };
  }

  summary(step: number, epoch: number, best: EvalMetrics | null, readings: Readings): Summary {
    const { milliseconds, losses, steps, tokens, samples, flop } = this.state(readings);
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
