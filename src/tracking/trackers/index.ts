export { Trackers } from "./guard.js";
export { MetricsFile } from "./metrics-file.js";
export { Mlflow } from "./mlflow.js";
export { mlflowSettings } from "./mlflow-settings.js";
export { TensorBoard } from "./tensorboard.js";
export type { Told, TrackedRun, Tracker } from "./tracker.js";
export { Wandb } from "./wandb/index.js";
export { wandbSettings } from "./wandb/settings.js";
