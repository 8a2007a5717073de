export { BpeEncoder } from "./encoder.js";
export { planBpe } from "./plan.js";
