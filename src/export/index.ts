export { exportAdapter } from "./adapter.js";
export {
  checkExportedAdapter,
  checkExportedModel,
  checkMergedModel,
  type Difference,
  type MergedDifference,
} from "./check.js";
export { exportModel } from "./model.js";
