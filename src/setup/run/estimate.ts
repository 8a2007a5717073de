// How many steps a run has, and about how long it takes, before it is begun.

import { Engine, type ModelSource } from "../../native/index.js";
import { countWarmup, type Dataset, isDue, modelFlop, type Steps, windows } from "../../trainer/index.js";
import { withoutFactors } from "../adapter.js";
import type { RunOptions } from "./options.js";
import { stepsOf } from "./steps.js";
import type { Prepared } from "./train.js";

/** Items of a data set that stand for all. */
const LOOKED_AT = 512;
/** The share of a product's speed that steps of models of usual sizes reach. */
const SHARE_OF_PEAK = 0.8;
/** Tokens of the product that is timed. */
const TIMED_TOKENS = 1024;
/** A base beyond it takes too long to be loaded for an estimate. */
const LARGEST_TIMED_BYTES = 2 ** 31;
/** A micro-batch that would take longer is not timed. */
const LONGEST_BATCH_SECONDS = 4;
/** Steps are timed for about this long, the first of them apart. */
const TIMING_SECONDS = 1.5;

export interface Estimate {
  steps: Steps;
  warmup: number;
  /** Training and evaluating that is left, without loading, saving and samples. */
  seconds: number;
  /** Steps that were timed for it; 0: a matrix product was, and steps may take longer. */
  timedSteps: number;
}

/** The time of the parts of a run. */
interface Speed {
  /** Speed of forward and backward passes. */
  flopPerSecond: number;
  /** Time of the optimizer, a step. */
  stepSeconds: number;
  timedSteps: number;
}

type FlopOf = ReturnType<typeof modelFlop>;

/** FLOP of a step's forward and backward pass over an item, on average. */
function itemFlop(dataset: Dataset, flopOf: FlopOf): number {
  const { length } = dataset;
  const looked = Math.min(LOOKED_AT, length);
  let flop = 0;
  for (let i = 0; i < looked; i++) {
    const batch = dataset.batch(Int32Array.of(Math.floor((i * length) / looked)));
    flop += flopOf({ microBatches: [batch], supervisedTokens: batch.supervisedTokens });
  }
  return looked === 0 ? 0 : flop / looked;
}

/** The speed by a product at its best, here and now. Nothing is quantised or copied for it. */
async function productSpeed({ model, adapter, plan }: Prepared): Promise<Speed> {
  const tensors = model.tensors.map(({ quantize: _, ...tensor }) => tensor);
  const stored: ModelSource = { ...model, tensors };
  const { precision, threads, device } = plan.engine;
  const size = { maxTokens: TIMED_TOKENS, maxSequence: TIMED_TOKENS, cacheTokens: 0 };
  await using engine = await Engine.create(stored, withoutFactors(adapter.spec), {
    precision,
    threads,
    device,
    ...size,
    training: false,
  });
  return { flopPerSecond: SHARE_OF_PEAK * (await engine.matmulPeak()), stepSeconds: 0, timedSteps: 0 };
}

/** The speed by the first steps of the run, on an engine that is thrown away. */
async function stepSpeed(o: RunOptions, { model, adapter, plan, texts }: Prepared, flopOf: FlopOf): Promise<Speed> {
  await using engine = await Engine.create(model, withoutFactors(adapter.spec), plan.engine);
  const { per_device_train_batch_size: batchSize, seed, shuffle, group_by_length: groupByLength } = o;
  const update = { learningRate: 0, weightDecay: 0, maxGradNorm: o.max_grad_norm };
  let [flop, seconds, stepSeconds, timedSteps] = [0, 0, 0, 0];
  const work = { batchSize, accumulation: 1, steps: Number.POSITIVE_INFINITY, seed, shuffle, groupByLength };
  for (const window of windows(texts.training, work)) {
    const begin = performance.now();
    for (const { batch } of window.microBatches) await engine.forwardBackward(batch, 1 / window.supervisedTokens, 0);
    const middle = performance.now();
    await engine.optimizerStep(update);
    await engine.readings();
    const end = performance.now();
    // The first one touches the memory, and counts where there is no time for another.
    const isFirst = window.step === 1;
    if (isFirst && end - begin < (1000 * TIMING_SECONDS) / 2) continue;
    flop += flopOf(window);
    seconds += (middle - begin) / 1000;
    stepSeconds += (end - middle) / 1000;
    timedSteps++;
    if (isFirst || seconds + stepSeconds >= TIMING_SECONDS) break;
  }
  return { flopPerSecond: flop / seconds, stepSeconds: stepSeconds / timedSteps, timedSteps };
}

/** Steps are timed where that takes a few seconds. */
async function speedOf(o: RunOptions, prepared: Prepared, flopOf: FlopOf, flopOfItem: number): Promise<Speed> {
  const { tensors } = prepared.model;
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const product = await productSpeed(prepared);
  const seconds = (o.per_device_train_batch_size * flopOfItem) / product.flopPerSecond;
  const isLong = bytes > LARGEST_TIMED_BYTES || tensors.some(({ quantize }) => quantize);
  return isLong || seconds > LONGEST_BATCH_SECONDS ? product : stepSpeed(o, prepared, flopOf);
}

/** After the steps that are done. A run that evaluates does so before it saves, too. */
function countEvaluations(o: RunOptions, { total, perEpoch }: Steps, done: number): number {
  if (o.eval_strategy === "no") return 0;
  const cadences = [
    { strategy: o.eval_strategy, every: o.eval_steps },
    { strategy: o.save_strategy, every: o.save_steps },
  ];
  let evaluations = 0;
  for (let step = done + 1; step <= total; step++)
    if (cadences.some((cadence) => isDue(cadence, step, perEpoch, total))) evaluations++;
  return evaluations;
}

/** Of the steps that are left, where the run goes on. */
export async function estimate(o: RunOptions, prepared: Prepared): Promise<Estimate> {
  const { model, adapter, texts, resumption } = prepared;
  const { training, validation } = texts;
  const steps = stepsOf(o, training.length);
  const flopOf = modelFlop(model, adapter.spec);
  const done = resumption?.state.step ?? 0;
  const left = Math.max(0, steps.total - done);
  const items = (left / steps.perEpoch) * training.length;
  const evaluations = countEvaluations(o, steps, done);
  // With a frozen base the backward pass takes as much as the forward pass.
  const evaluating = (evaluations * validation.length * itemFlop(validation, flopOf)) / 2;
  const flopOfItem = itemFlop(training, flopOf);
  const { flopPerSecond, stepSeconds, timedSteps } = await speedOf(o, prepared, flopOf, flopOfItem);
  const seconds = (items * flopOfItem + evaluating) / flopPerSecond + left * stepSeconds;
  return { steps, warmup: countWarmup(steps.total, o.warmup_ratio, o.warmup_steps), seconds, timedSteps };
}
