import { LowrankError } from "../base/errors.js";

export interface LossScaling {
  /** Loss scale of the first step. */
  initial: number;
  /** Steps without an overflow after which it is doubled. */
  window: number;
}

/** The part that a checkpoint keeps. */
export interface LossScaleState {
  scale: number;
  /** Steps since it last changed, all without an overflow. */
  good_steps: number;
  /** Steps in the run so far that an overflow made void. */
  skipped: number;
}

const GROWTH = 2;
const BACKOFF = 0.5;
/** Gradients that overflow at this scale are not small numbers that got lost: the values themselves do not fit. */
const LEAST = 2 ** -14;

/**
 * Dynamic loss scaling for fp16 (Micikevicius et al., 2018) by the rules of PyTorch's GradScaler: a step whose gradients are not
 * finite is skipped and halves the scale, a window of steps without one doubles it.
 */
export class LossScaler {
  readonly #window: number;
  readonly state: LossScaleState;

  constructor({ initial, window }: LossScaling, begun: LossScaleState | null | undefined) {
    this.#window = window;
    this.state = begun ? { ...begun } : { scale: initial, good_steps: 0, skipped: 0 };
  }

  /** @throws LowrankError E_NAN where no scale helps */
  update(overflowed: boolean, step: number): void {
    const { state } = this;
    if (overflowed) {
      state.scale *= BACKOFF;
      state.good_steps = 0;
      state.skipped++;
      if (state.scale < LEAST) {
        throw new LowrankError(
          "E_NAN",
          `Step ${step}: the gradients overflow fp16 even at loss scale ${state.scale / BACKOFF}: the model's values go ` +
            "beyond 65504, or training has diverged. Use --precision bf16 or fp32, or a lower --learning_rate.",
        );
      }
      return;
    }
    state.good_steps++;
    if (state.good_steps < this.#window) return;
    state.good_steps = 0;
    // Beyond the numbers of f32 it stays.
    if (Number.isFinite(Math.fround(state.scale * GROWTH))) state.scale *= GROWTH;
  }
}
