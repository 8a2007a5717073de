export { Log } from "./log.js";
export { Metrics } from "./metrics.js";
export { Progress, showsBar } from "./progress.js";
