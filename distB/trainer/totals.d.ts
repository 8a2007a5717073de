import type { RunState } from "../checkpoint/index.js";
import type { EvalMetrics, Summary } from "./events.js";
type TotalsState = RunState["totals"];
/** What a run has done since its first step, over all its starts. */
export declare class Totals {
    #private;
    constructor(begun?: TotalsState);
    get state(): TotalsState;
    /** A step's. A loss that is no number, of a step that fp16 skips, is not part of the mean. */
    add(loss: number, tokens: number, samples: number, flop: number): void;
    summary(step: number, epoch: number, best: EvalMetrics | null): Summary;
}
export {};
