export { Trackers } from "./guard.js";
export { MetricsFile } from "./metrics-file.js";
export { TensorBoard } from "./tensorboard.js";
export type { TrackedRun, Tracker } from "./tracker.js";
