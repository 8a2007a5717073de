import { epochOrder, type MicroBatch, prefetch } from "../data/index.js";
import { LowrankError } from "../errors.js";

/** Tokenised texts by position. */
export interface Dataset {
  readonly length: number;
  batch(positions: Int32Array): Promise<MicroBatch>;
}

/** The micro-batches of one optimizer step. */
export interface Window {
  /** Counted from 1. */
  step: number;
  /** Times through the texts after this step. */
  epoch: number;
  microBatches: MicroBatch[];
  /** Number of the first micro-batch within the run; dropout masks depend on it. */
  firstIndex: number;
  /** Of all micro-batches: what the loss is the mean of. */
  supervisedTokens: number;
  tokens: number;
  /** Rows that are too short to train on. */
  skipped: number;
}

export interface WindowOptions {
  batchSize: number;
  accumulation: number;
  steps: number;
  seed: number;
  shuffle: boolean;
  /** Steps made already: the windows after them. */
  done?: number;
}

/** Windows tokenised ahead of the one in use. */
const AHEAD = 2;

/** Position ranges of a batch size over an order; the last may be shorter. */
export function* batches(order: Int32Array, batchSize: number): Generator<Int32Array> {
  for (let at = 0; at < order.length; at += batchSize) yield order.subarray(at, at + batchSize);
}

export function positions(dataset: Dataset): Int32Array {
  return Int32Array.from({ length: dataset.length }, (_, i) => i);
}

async function* inOrder(dataset: Dataset, o: WindowOptions): AsyncGenerator<Window> {
  const perEpoch = Math.ceil(dataset.length / o.batchSize);
  const stepsPerEpoch = Math.ceil(perEpoch / o.accumulation);
  const all = positions(dataset);
  let step = o.done ?? 0;
  let first = (step % stepsPerEpoch) * o.accumulation;
  for (let epoch = Math.floor(step / stepsPerEpoch); ; epoch++, first = 0) {
    const micro = [...batches(epochOrder(all, o.seed, epoch, o.shuffle), o.batchSize)];
    for (let at = first; at < perEpoch; at += o.accumulation) {
      if (step === o.steps) return;
      const microBatches = await Promise.all(micro.slice(at, at + o.accumulation).map((part) => dataset.batch(part)));
      const sum = (of: (m: MicroBatch) => number) => microBatches.reduce((total, m) => total + of(m), 0);
      yield {
        step: ++step,
        epoch: epoch + (at + microBatches.length) / perEpoch,
        microBatches,
        firstIndex: epoch * perEpoch + at,
        supervisedTokens: sum((m) => m.supervisedTokens),
        tokens: sum((m) => m.tokens),
        skipped: sum((m) => m.skipped),
      };
    }
  }
}

/** The windows of a run in order, tokenised a little ahead. An epoch's last window may be smaller. */
export function windows(dataset: Dataset, options: WindowOptions): AsyncIterable<Window> {
  return prefetch(inOrder(dataset, options), AHEAD);
}

/** @throws LowrankError E_ALL_MASKED where a window holds nothing to learn from */
export function checkSupervised(
  { step, supervisedTokens, microBatches }: Window,
  where: (row: number) => string,
): void {
  if (supervisedTokens > 0) return;
  const rows = microBatches.flatMap((m) => [...m.rows]);
  const named = rows.slice(0, 5).map(where).join(", ");
  const more = rows.length > 5 ? ` and ${rows.length - 5} more` : "";
  throw new LowrankError(
    "E_ALL_MASKED",
    `Step ${step} has no token to learn from: every text in it is shorter than two tokens (${named}${more}). ` +
      "Remove empty texts, check --text_column, or use larger batches.",
  );
}
