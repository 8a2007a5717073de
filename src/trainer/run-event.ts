import type { Summary, TrainerEvent } from "./events.js";
import type { TrainResult } from "./loop.js";

/** The result, with the peak of the process's memory beside the plan. */
export interface RunResult extends TrainResult {
  summary: Summary & { peak_memory_bytes: number; planned_memory_bytes: number };
}

/** Events of a run, in order; the last event is `end`. */
export type RunEvent = TrainerEvent | ({ type: "end" } & RunResult);
