import type { RunResult } from "../setup/run/train.js";
import type { Log, Metrics, Progress } from "../tracking/index.js";
import type { Reporter } from "../trainer/index.js";
/** Seconds for people. */
export declare function duration(seconds: number): string;
/** The last line of a run. */
export declare function summaryLine(s: RunResult["summary"]): string;
export interface Tracking {
    log: Log;
    progress: Progress;
    /** Known once the run begins to write. */
    metrics: Metrics | null;
}
/** Shows what the trainer tells, and writes its metrics down. */
export declare function reporter(tracking: Tracking): Reporter;
