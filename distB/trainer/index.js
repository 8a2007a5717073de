export { METRICS } from "./early-stopping.js";
export { evaluate, evaluateModel } from "./evaluate.js";
export { generate, SAMPLE, samples } from "./generation.js";
export { BestInMemory } from "./keeper.js";
export { train } from "./loop.js";
export { modelFlop } from "./model-flop.js";
export { Saver } from "./saver.js";
export { countSteps, countWarmup, learningRateFactor } from "./schedule.js";
