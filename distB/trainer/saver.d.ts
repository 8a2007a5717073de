import { type CardRun, type RunState, type TrainerProgress } from "../checkpoint/index.js";
import type { Tokenizer } from "../data/index.js";
import type { ResolvedTargets } from "../model/index.js";
import { type AdapterSpec, type Engine, type ModelSource } from "../native/index.js";
import type { Metric } from "./early-stopping.js";
import type { EvalMetrics, Reporter, StepMetrics } from "./events.js";
import type { Keeper } from "./keeper.js";
export interface SaverOptions {
    engine: Engine;
    model: ModelSource;
    tokenizer: Tokenizer;
    adapter: {
        spec: AdapterSpec;
        targets: ResolvedTargets;
    };
    folder: string;
    /** Checkpoints to keep; null keeps all. */
    limit: number | null;
    /** What trainer_state.json calls the best metric. */
    metric: Metric;
    /** For the model card. */
    texts: Pick<CardRun, "training" | "validation">;
    /** What a run that goes on must agree with. */
    identity: Pick<RunState, "settings" | "cpu">;
    /** The checkpoint that the run goes on from. */
    resume?: Resumed | undefined;
    report: Reporter;
    /** Once it is raised, the next checkpoint is the last one. */
    signal?: AbortSignal | undefined;
}
export interface Resumed {
    folder: string;
    /** Lines of metrics up to it. */
    history: object[];
    best: Best | null;
}
export interface Best {
    metrics: EvalMetrics;
    folder: string;
}
/** Writes checkpoints and the final adapter, and knows which checkpoint is the best. */
export declare class Saver implements Keeper {
    #private;
    constructor(options: SaverOptions);
    get lastFolder(): string | null;
    get best(): EvalMetrics | null;
    /** Remembers a line of metrics for trainer_state.json. */
    note(metrics: StepMetrics | EvalMetrics): void;
    /**
     * Copies what is to be saved and writes it while training goes on; one is written at a time, and the last one of a run is
     * waited for. A checkpoint that cannot be written is a warning where the one before it is whole, and where this is not the run's
     * last one; training goes on. The second one in a row is an error: a run must not go far without being saved.
     * @param evaluation of this very step, where there is one
     * @throws LowrankError E_WRITE
     */
    checkpoint(progress: Omit<TrainerProgress, "history" | "best">, state: Omit<RunState, "settings" | "cpu" | "best_eval">, evaluation: EvalMetrics | null): Promise<void>;
    collect(): Promise<void>;
    settle(): Promise<void>;
    /** Puts the best checkpoint's adapter back into the engine, if it is not there now. @returns its evaluation, if any */
    restoreBest(): Promise<EvalMetrics | null>;
    finish(): Promise<void>;
}
