export { Trackers } from "./guard.js";
export { MetricsFile } from "./metrics-file.js";
export { TensorBoard } from "./tensorboard.js";
export type { Told, TrackedRun, Tracker } from "./tracker.js";
export { Wandb } from "./wandb/index.js";
export { wandbSettings } from "./wandb/settings.js";
