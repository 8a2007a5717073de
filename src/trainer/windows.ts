import { epochOrder, groupByLength, type MicroBatch } from "../data/index.js";
import type { ClassifierConfig } from "../native/index.js";

/** Tokenised texts by position. */
export interface Dataset {
  readonly length: number;
  batch(positions: Int32Array): MicroBatch;
  /** Tokens of the item at a position. */
  tokens(position: number): number;
  /** Set where texts are classified. */
  readonly classifier?: ClassifierConfig | undefined;
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
  /** Supervised tokens of all micro-batches; the loss is their mean. */
  supervisedTokens: number;
  tokens: number;
}

export interface WindowOptions {
  batchSize: number;
  accumulation: number;
  steps: number;
  seed: number;
  shuffle: boolean;
  /** Items of a step are of similar length. */
  groupByLength: boolean;
  /** Steps made already: the windows after them. */
  done?: number;
}

/** Position ranges of a batch size over an order; the last may be shorter. */
export function* batches(order: Int32Array, batchSize: number): Generator<Int32Array> {
  for (let at = 0; at < order.length; at += batchSize) yield order.subarray(at, at + batchSize);
}

export function positions(dataset: Dataset): Int32Array {
  return Int32Array.from({ length: dataset.length }, (_, i) => i);
}

/** The windows of a run in order. An epoch's last window may be smaller. */
export function* windows(dataset: Dataset, o: WindowOptions): Generator<Window, void, undefined> {
  const perEpoch = Math.ceil(dataset.length / o.batchSize);
  const stepsPerEpoch = Math.ceil(perEpoch / o.accumulation);
  const all = positions(dataset);
  let step = o.done ?? 0;
  let first = (step % stepsPerEpoch) * o.accumulation;
  for (let epoch = Math.floor(step / stepsPerEpoch); ; epoch++, first = 0) {
    const order = epochOrder(all, o.seed, epoch, o.shuffle);
    const ordered = o.groupByLength
      ? groupByLength(order, o.batchSize * o.accumulation, (item) => dataset.tokens(item))
      : order;
    for (let at = first; at < perEpoch; at += o.accumulation) {
      if (step === o.steps) return;
      const items = ordered.subarray(at * o.batchSize, (at + o.accumulation) * o.batchSize);
      const microBatches = [...batches(items, o.batchSize)].map((part) => dataset.batch(part));
      const sum = (of: (m: MicroBatch) => number) => microBatches.reduce((total, m) => total + of(m), 0);
      yield {
        step: ++step,
        epoch: epoch + (at + microBatches.length) / perEpoch,
        microBatches,
        firstIndex: epoch * perEpoch + at,
        supervisedTokens: sum((m) => m.supervisedTokens),
        tokens: sum((m) => m.tokens),
      };
    }
  }
}
