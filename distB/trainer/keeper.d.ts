import type { RunState, TrainerProgress } from "../checkpoint/index.js";
import type { Engine } from "../native/index.js";
import type { EvalMetrics, Reporter, StepMetrics } from "./events.js";
/** Keeps what a run has reached: on disk (`Saver`) or in memory. */
export interface Keeper {
    /** Folder of the last checkpoint, if any. */
    readonly lastFolder: string | null;
    /** The best evaluation so far, if any. */
    readonly best: EvalMetrics | null;
    /** Remembers a line of metrics. */
    note(metrics: StepMetrics | EvalMetrics): void;
    /** @param evaluation of this very step, where there is one */
    checkpoint(progress: Omit<TrainerProgress, "history" | "best">, state: Omit<RunState, "settings" | "cpu" | "best_eval">, evaluation: EvalMetrics | null): Promise<void>;
    /** Tells of a checkpoint that has been written meanwhile. @throws LowrankError E_WRITE where it could not be */
    collect(): Promise<void>;
    /** Waits for a checkpoint that is being written. @throws LowrankError E_WRITE */
    settle(): Promise<void>;
    /** Puts the best adapter back into the engine, if it is not there now. @returns its evaluation, if any */
    restoreBest(): Promise<EvalMetrics | null>;
    /** The run is over: keeps what the engine has now. */
    finish(): Promise<void>;
}
/** For runs that write nothing. */
export declare class BestInMemory implements Keeper {
    #private;
    readonly lastFolder: null;
    constructor(engine: Engine, report: Reporter);
    get best(): EvalMetrics | null;
    note(): void;
    checkpoint(_: unknown, __: unknown, evaluation: EvalMetrics | null): Promise<void>;
    collect(): Promise<void>;
    settle(): Promise<void>;
    restoreBest(): Promise<EvalMetrics | null>;
    finish(): Promise<void>;
}
