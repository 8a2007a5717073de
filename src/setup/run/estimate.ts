// How many steps a run has, and about how long it takes, before it is begun.
import { Engine, type ModelSource } from "../../native/index.js";
import { countWarmup, type Dataset, modelFlop, type Steps } from "../../trainer/index.js";
import type { RunOptions } from "./options.js";
import { stepsOf } from "./steps.js";
import type { Prepared } from "./train.js";

/** Items of a data set that stand for all. */
const LOOKED_AT = 512;
/** What steps of models of usual sizes reach of a product's speed. */
const SHARE_OF_PEAK = 0.8;
/** Tokens of the product that is timed. */
const TIMED_TOKENS = 1024;

export interface Estimate {
  steps: Steps;
  warmup: number;
  /** Training and evaluating, without loading, saving and samples. */
  seconds: number;
}

/** FLOP of a step's forward and backward pass over an item, on average. */
function itemFlop(dataset: Dataset, flopOf: ReturnType<typeof modelFlop>): number {
  const { length } = dataset;
  const looked = Math.min(LOOKED_AT, length);
  let flop = 0;
  for (let i = 0; i < looked; i++) {
    const batch = dataset.batch(Int32Array.of(Math.floor((i * length) / looked)));
    flop += flopOf({ microBatches: [batch], supervisedTokens: batch.supervisedTokens });
  }
  return looked === 0 ? 0 : flop / looked;
}

/** FLOP/s of a product at its best, here and now. Nothing is quantised or copied for it. */
async function matmulPeak({ model, adapter, plan }: Prepared): Promise<number> {
  const tensors = model.tensors.map(({ quantize: _, ...tensor }) => tensor);
  const stored: ModelSource = { ...model, tensors };
  const { precision, threads } = plan.engine;
  const size = { maxTokens: TIMED_TOKENS, maxSequence: TIMED_TOKENS, cacheTokens: 0 };
  await using engine = await Engine.create(stored, adapter.spec, { precision, threads, ...size, training: false });
  return engine.matmulPeak();
}

export async function estimate(o: RunOptions, prepared: Prepared): Promise<Estimate> {
  const { model, adapter, texts } = prepared;
  const { training, validation } = texts;
  const steps = stepsOf(o, training.length);
  const flopOf = modelFlop(model, adapter.spec);
  const items = (steps.total / steps.perEpoch) * training.length;
  const every = o.eval_strategy === "epoch" ? steps.perEpoch : o.eval_steps;
  const evaluations = o.eval_strategy === "no" ? 0 : Math.ceil(steps.total / every);
  // A frozen base asks as much backward as forward.
  const evaluating = (evaluations * validation.length * itemFlop(validation, flopOf)) / 2;
  const flop = items * itemFlop(training, flopOf) + evaluating;
  const seconds = flop / (SHARE_OF_PEAK * (await matmulPeak(prepared)));
  return { steps, warmup: countWarmup(steps.total, o.warmup_ratio, o.warmup_steps), seconds };
}
