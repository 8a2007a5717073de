import type { CommandOptions } from "../config/index.js";
import { Tokenizer } from "../data/index.js";
import { Engine, type ModelSource } from "../native/index.js";
import { Log, Progress } from "../tracking/index.js";
/** A question to a person; null where the terminal's line was closed, as by Ctrl-C and Ctrl-D. */
export type Ask = (question: string) => Promise<string | null>;
/** Asks until the answer is yes or no, or nothing, which is no. */
export declare function isYes(question: string, ask: Ask): Promise<boolean>;
/** The command that merges a run's adapter later. */
export declare function mergeCommand(o: MergeQuestion, folder: string): string;
export interface MergeQuestion {
    merge: boolean | undefined;
    base_model: string;
    tokenizer_name: string | undefined;
    output_dir: string;
}
/** Whether to merge after training: as told, else as a person at the terminal answers, else not. */
export declare function wantsMerge(o: MergeQuestion, folder: string): Promise<boolean>;
export interface MergeWork {
    engine: Engine;
    model: ModelSource;
    /** With an adapter. */
    modules: string[];
    tokenizer: Tokenizer;
    /** Replaces a merged model that stands there. */
    overwrite: boolean;
    progress: Progress;
    log: Log;
}
export declare function mergeInto(folder: string, work: MergeWork): Promise<void>;
/** `lowrank merge`. */
export declare function run(named: CommandOptions<"merge">): Promise<void>;
