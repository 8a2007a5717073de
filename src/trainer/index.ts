export { type EvaluateOptions, type Evaluation, evaluate } from "./evaluate.js";
export type { EvalMetrics, Reporter, Sample, StepMetrics, TrainerEvent } from "./events.js";
export { type GenerationOptions, generate, SAMPLE, type SampleOptions, samples } from "./generation.js";
export { BestInMemory, type Keeper } from "./keeper.js";
export { type TrainResult, type TrainRun, train } from "./loop.js";
export { type Best, type Resumed, Saver, type SaverOptions } from "./saver.js";
export { countSteps, countWarmup, learningRateFactor, type Scheduler, type Steps } from "./schedule.js";
export type { Dataset } from "./windows.js";
