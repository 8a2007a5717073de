import { join } from "node:path";
import { MetricsFile, TensorBoard, type Tracker } from "../../tracking/trackers/index.js";
import type { RunOptions } from "./options.js";

/** The trackers that a run's options ask for. */
export function trackersOf({ output_dir, report_to }: Pick<RunOptions, "output_dir" | "report_to">): Tracker[] {
  if (output_dir === undefined) return [];
  const metrics = new MetricsFile(join(output_dir, "metrics.jsonl"));
  return report_to === "tensorboard" ? [metrics, new TensorBoard(join(output_dir, "runs"))] : [metrics];
}
