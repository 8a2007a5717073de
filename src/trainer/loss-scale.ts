import { LowrankError } from "../base/errors.js";
import type { Readings } from "../native/index.js";

/**
 * Dynamic loss scaling for fp16 (Micikevicius et al., 2018) by the rules of PyTorch's GradScaler: a step whose gradients are not
 * finite is skipped and halves the scale, a window of steps without one doubles it. The engine does it (`OptimizerOptions.growthSteps`).
 */
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

/** Gradients that overflow at this scale are not small numbers that got lost: the values themselves do not fit. */
const LEAST = 2 ** -14;

export function lossScaleOf({ lossScale, goodSteps, skippedSteps }: Readings): LossScaleState {
  return { scale: lossScale, good_steps: goodSteps, skipped: skippedSteps };
}

/** @throws LowrankError E_NAN where no scale helps */
export function checkLossScale(scale: number, step: number): void {
  if (scale >= LEAST) return;
  throw new LowrankError(
    "E_NAN",
    `Step ${step}: the gradients overflow fp16 even at loss scale ${scale * 2}: the model's values go ` +
      "beyond 65504, or training has diverged. Use --precision bf16 or fp32, or a lower --learning_rate.",
  );
}
