export { holdsRun, readRun, type TextFacts } from "./facts.js";
export { type KnownFacts, ReportRecorder } from "./recorder.js";
