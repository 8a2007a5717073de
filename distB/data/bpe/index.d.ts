export { BpeEncoder } from "./encoder.js";
export { type BpePlan, planBpe } from "./plan.js";
