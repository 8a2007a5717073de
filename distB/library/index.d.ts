export type { Adapter } from "./adapter.js";
export type { Texts } from "./arguments.js";
export { loadAdapter, Model, type ModelEvaluateOptions, type ModelOptions } from "./model.js";
export type { TrainerOptions } from "./options.js";
export type { TrainerState } from "./state.js";
export type { TextOptions } from "./text.js";
export { type RunEvent, Trainer } from "./trainer.js";
