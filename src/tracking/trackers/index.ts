export { Trackers } from "./guard.js";
export { MetricsFile } from "./metrics-file.js";
export type { TrackedRun, Tracker } from "./tracker.js";
