import { join } from "node:path";
import { MetricsFile, type Tracker } from "../../tracking/trackers/index.js";
import type { RunOptions } from "./options.js";

/** The trackers that a run's options ask for. */
export function trackersOf({ output_dir }: Pick<RunOptions, "output_dir">): Tracker[] {
  return output_dir === undefined ? [] : [new MetricsFile(join(output_dir, "metrics.jsonl"))];
}
