import { type MicroBatch } from "../data/index.js";
/** Tokenised texts by position. */
export interface Dataset {
    readonly length: number;
    batch(positions: Int32Array): MicroBatch;
    /** Tokens of the item at a position. */
    tokens(position: number): number;
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
export declare function batches(order: Int32Array, batchSize: number): Generator<Int32Array>;
export declare function positions(dataset: Dataset): Int32Array;
/** The windows of a run in order. An epoch's last window may be smaller. */
export declare function windows(dataset: Dataset, o: WindowOptions): Generator<Window, void, undefined>;
