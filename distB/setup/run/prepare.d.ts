import type { Engine, ModelSource, Precision } from "../../native/index.js";
import { type InitialAdapter } from "../adapter.js";
import { type Plan } from "../memory/plan.js";
import type { Settings } from "../memory/proposals.js";
import type { TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";
import { type Resumption } from "./resume.js";
import { type Prepared } from "./train.js";
type Warn = (message: string) => void;
/** The base that a run is planned with. */
export interface PlannedBase {
    model: ModelSource;
    precision: Precision;
    threads: number;
    /** Folder or file of the tokenizer that is still to be loaded; null where it has been. */
    tokenizer: string | null;
    /** Whether the weights stay in the page cache. */
    sharesWeights: boolean;
    /** Whether the engine generates nothing but samples. */
    samplesOnly: boolean;
}
/** What a run needs of its base, known before anything is read that is large. */
export interface RunPlan {
    model: ModelSource;
    adapter: InitialAdapter;
    settings: Settings;
    plan: Plan;
    /** @throws LowrankError E_MEMORY */
    checkMemory(): void;
}
/** @param given options that the user named */
export declare function planRun(o: RunOptions, given: ReadonlySet<string>, base: PlannedBase): RunPlan;
/** Warns of what is slow or beyond what the base was made for. */
export declare function warnOf(o: RunOptions, { model, plan }: RunPlan, warn: Warn): void;
/** @throws LowrankError E_RESUME where the checkpoint is of another run */
export declare function prepareRun(o: RunOptions, { model, adapter, settings: { precision }, plan }: RunPlan, texts: TrainingTexts, resumption: Resumption | null, warn: Warn): Prepared;
/** Puts into the engine what the run begins with: the checkpoint's state, or the initial adapter. */
export declare function beginWith(engine: Engine, { model, adapter, resumption }: Prepared): Promise<void>;
export {};
