export type { Adapter } from "./adapter.js";
export type { Items, Texts } from "./arguments.js";
export type { Download, DownloadOptions } from "./download.js";
export {
  loadAdapter,
  Model,
  type ModelClassifyOptions,
  type ModelEvaluateOptions,
  type ModelGenerateTextsOptions,
  type ModelOptions,
} from "./model.js";
export type { TrainerOptions } from "./options.js";
export { type PushToHubOptions, pushToHub } from "./push.js";
export type { TrainerState } from "./state.js";
export { type SweepEntry, type SweepEvent, type SweepOptions, type SweepResult, sweep } from "./sweep.js";
export type { TextOptions } from "./text.js";
export { Trainer } from "./trainer.js";
