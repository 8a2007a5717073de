export { exportAdapter } from "./adapter.js";
export { checkExportedAdapter, checkExportedModel, type Difference } from "./check.js";
export { exportModel } from "./model.js";
