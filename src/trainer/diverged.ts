import { LowrankError } from "../base/errors.js";
import type { AdapterTensors } from "../native/index.js";

/** Where a number of the training was found not to be one. */
export interface RunPlace {
  step: number;
  learningRate: number;
  lastCheckpoint: string | null;
}

/** @throws LowrankError E_NAN where the value is NaN or infinite */
export function checkFinite(what: string, value: number, { step, learningRate, lastCheckpoint }: RunPlace): void {
  if (Number.isFinite(value)) return;
  const kept = lastCheckpoint === null ? "There is no checkpoint yet." : `The last checkpoint is ${lastCheckpoint}.`;
  throw new LowrankError(
    "E_NAN",
    `Step ${step}: the ${what} is ${value}, at learning rate ${learningRate}. Training has diverged and was stopped. ` +
      `Try a lower --learning_rate, more --warmup_steps, a lower --max_grad_norm or --precision fp32. ${kept}`,
  );
}

/** Sum of all magnitudes: a number exactly where every element is one. */
export function magnitude(tensors: AdapterTensors): number {
  let sum = 0;
  for (const { data } of tensors.values()) for (const x of data) sum += Math.abs(x);
  return sum;
}
