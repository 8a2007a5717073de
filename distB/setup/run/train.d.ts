import type { Identity } from "../../checkpoint/index.js";
import { type Engine, type ModelSource, type Precision } from "../../native/index.js";
import { type Reporter, type Summary, samples, type TrainResult } from "../../trainer/index.js";
import { type InitialAdapter } from "../adapter.js";
import type { Plan } from "../memory/plan.js";
import type { Settings } from "../memory/proposals.js";
import type { TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";
import type { Resumption } from "./resume.js";
/** Everything that a run is made of, checked, with nothing written yet. */
export interface Prepared {
    model: ModelSource;
    adapter: InitialAdapter;
    plan: Plan;
    texts: TrainingTexts;
    resumption: Resumption | null;
    settings: Identity;
}
/** What a prepared run works with. */
export interface Work {
    engine: Engine;
    report: Reporter;
    /** Finishes the step in progress, saves and ends. */
    signal: AbortSignal;
    /** Ends after the micro-batch in progress; nothing is saved. */
    abort?: AbortSignal | undefined;
    begin?: () => Promise<void>;
}
/** The settings that decide how much memory a run needs. */
export declare function memorySettings(o: RunOptions, precision: Precision, adapter: InitialAdapter): Settings;
/** @throws LowrankError E_USAGE naming options that make no sense together */
export declare function checkRunOptions(o: RunOptions): void;
/** The result, with the peak of the process's memory beside the plan. */
export interface RunResult extends TrainResult {
    summary: Summary & {
        peak_memory_bytes: number;
        planned_memory_bytes: number;
    };
}
/** @param work with an engine that holds what the run begins with */
export declare function trainPrepared(o: RunOptions, prepared: Prepared, work: Work): Promise<RunResult>;
/** What the trained model writes after the beginnings of some validation texts, as events. */
export declare function trainedSamples(o: RunOptions, { model, texts, plan }: Prepared, engine: Engine, signal: AbortSignal): ReturnType<typeof samples>;
