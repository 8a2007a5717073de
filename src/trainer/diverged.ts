import { setImmediate } from "node:timers/promises";
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

/** Elements that are added up, in about a millisecond, before the event loop has its turn. */
const SLICE = 1 << 20;

/** Sum of all magnitudes: a number exactly where every element is one. */
export async function magnitude(tensors: AdapterTensors): Promise<number> {
  let sum = 0;
  let left = SLICE;
  for (const { data } of tensors.values()) {
    for (let begin = 0; begin < data.length; ) {
      const end = Math.min(data.length, begin + left);
      for (let i = begin; i < end; i++) sum += Math.abs(data[i]!);
      left -= end - begin;
      begin = end;
      if (left > 0) continue;
      await setImmediate();
      left = SLICE;
    }
  }
  return sum;
}
