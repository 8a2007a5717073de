import type { StepMetrics } from "./events.js";
/** What is kept of an interval in a checkpoint. */
export interface IntervalState {
    losses: number;
    steps: number;
    tokens: number;
    flop: number;
    milliseconds: number;
}
/** What happened since the last line of metrics. */
export declare class Interval {
    #private;
    constructor(begun?: IntervalState);
    /** While paused. */
    get state(): IntervalState;
    /** A loss that is no number, of a step that fp16 skips, is not part of the mean. */
    add(loss: number, tokens: number, flop: number): void;
    /** Stops the clock, as while evaluating and saving. */
    pause(): void;
    resume(): void;
    /** FLOP/s so far. */
    get rate(): number;
    /** Tokens a second so far. */
    get speed(): number;
    /** The line for this step; the interval goes on. @param peak FLOP/s of a product at its best */
    line(about: Omit<StepMetrics, "loss" | "tokens_per_s" | "mfu">, peak: number): StepMetrics;
    /** The line for this step; a new interval begins. */
    metrics(...about: Parameters<Interval["line"]>): StepMetrics;
}
