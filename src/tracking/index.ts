export { Log } from "./log.js";
export { Progress, showsBar } from "./progress.js";
