import { LowrankError } from "../base/errors.js";

export type Scheduler = "linear" | "cosine" | "constant";

/** How much work a run is, counted as the Hugging Face Trainer counts it. */
export interface Steps {
  /** Micro-batches of one epoch; the last may be smaller. */
  microBatchesPerEpoch: number;
  /** Optimizer steps of one epoch; the last may have fewer micro-batches. */
  perEpoch: number;
  total: number;
}

export interface Workload {
  rows: number;
  batchSize: number;
  accumulation: number;
  /** May be a fraction. */
  epochs: number;
  /** Overrides `epochs`. */
  maxSteps?: number | undefined;
}

export function countSteps({ rows, batchSize, accumulation, epochs, maxSteps }: Workload): Steps {
  if (rows < 1) throw new LowrankError("E_DATA_EMPTY", "There are no texts to train on.");
  const microBatchesPerEpoch = Math.ceil(rows / batchSize);
  const perEpoch = Math.ceil(microBatchesPerEpoch / accumulation);
  return { microBatchesPerEpoch, perEpoch, total: maxSteps ?? Math.ceil(epochs * perEpoch) };
}

/** Steps in which the learning rate rises. A number of steps, 0 included, wins over a share. */
export function countWarmup(total: number, ratio: number, steps?: number): number {
  return steps ?? Math.ceil(total * ratio);
}

/**
 * Factor of the learning rate for the step that follows `done` finished ones: the Trainer's
 * `get_{linear,cosine,constant}_schedule_with_warmup`. With warmup the first step's factor is 0.
 */
export function learningRateFactor(scheduler: Scheduler, done: number, warmup: number, total: number): number {
  if (done < warmup) return done / Math.max(1, warmup);
  if (scheduler === "constant") return 1;
  const rest = Math.max(1, total - warmup);
  if (scheduler === "linear") return Math.max(0, (total - done) / rest);
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((done - warmup) / rest))));
}
