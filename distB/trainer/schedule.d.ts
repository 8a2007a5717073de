export type Scheduler = "linear" | "cosine" | "constant";
/** How much work a run is, counted as the Hugging Face Trainer counts it. */
export interface Steps {
    /** Micro-batches of one epoch; the last may be smaller. */
    microBatchesPerEpoch: number;
    /** Optimizer steps of one epoch; the last may have fewer micro-batches. */
    perEpoch: number;
    total: number;
}
export interface Work {
    rows: number;
    batchSize: number;
    accumulation: number;
    /** May be a fraction. */
    epochs: number;
    /** Overrides `epochs`. */
    maxSteps?: number | undefined;
}
export declare function countSteps({ rows, batchSize, accumulation, epochs, maxSteps }: Work): Steps;
/** Steps in which the learning rate rises. A number of steps, 0 included, wins over a share. */
export declare function countWarmup(total: number, ratio: number, steps?: number): number;
/**
 * Factor of the learning rate for the step that follows `done` finished ones: the Trainer's
 * `get_{linear,cosine,constant}_schedule_with_warmup`. With warmup the first step's factor is 0.
 */
export declare function learningRateFactor(scheduler: Scheduler, done: number, warmup: number, total: number): number;
