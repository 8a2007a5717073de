import type { RunState } from "../checkpoint/index.js";
import { type Engine } from "../native/index.js";
import { type Cadence } from "./cadence.js";
import { type EarlyStoppingOptions, type Metric } from "./early-stopping.js";
import type { EvalMetrics, Reporter, Summary } from "./events.js";
import type { Keeper } from "./keeper.js";
import { type LossScaling } from "./loss-scaler.js";
import { type Scheduler } from "./schedule.js";
import { type Dataset, type Window } from "./windows.js";
export interface TrainRun {
    engine: Engine;
    /** That a step asks of the model. */
    modelFlop(window: Window): number;
    training: Dataset;
    validation: Dataset | null;
    batchSize: number;
    evalBatchSize: number;
    accumulation: number;
    epochs: number;
    maxSteps?: number | undefined;
    learningRate: number;
    scheduler: Scheduler;
    warmupRatio: number;
    warmupSteps?: number | undefined;
    weightDecay: number;
    maxGradNorm: number;
    /** Of fp16, and of that alone. */
    lossScaling?: LossScaling | undefined;
    shuffle: boolean;
    groupByLength: boolean;
    seed: number;
    /** Steps between two lines of metrics. */
    loggingSteps: number;
    evaluating: Cadence;
    /** What is saved is evaluated, too, so that the best is known; not where evaluating is switched off. */
    saving: Cadence;
    /** What the best checkpoint and early stopping are judged by. */
    metric: Metric;
    earlyStopping?: EarlyStoppingOptions | undefined;
    /** Whether the best checkpoint's adapter is put back at the end. */
    loadBest: boolean;
    saver: Keeper;
    report: Reporter;
    /** Of the checkpoint to go on from, whose adapter and optimizer state the engine has. */
    resume?: RunState | undefined;
    /** Called before the first step, before anything is written. */
    begin?: () => void | Promise<void>;
    /** The step in progress is finished and everything is saved. */
    signal?: AbortSignal | undefined;
    /** The micro-batch in progress is finished, nothing is saved, and the run ends with the signal's reason. */
    abort?: AbortSignal | undefined;
}
export interface TrainResult {
    steps: number;
    /** Whether the signal ended the run. */
    aborted: boolean;
    /** Whether it ended early because it got no better. */
    stoppedEarly: boolean;
    /** The last evaluation, and that of the adapter that was kept. */
    lastEval: EvalMetrics | null;
    bestEval: EvalMetrics | null;
    summary: Summary;
}
/** Fine-tunes the engine's adapter, leaves the best one in it and saves it. */
export declare function train(run: TrainRun): Promise<TrainResult>;
