export {
  type AdapterAbout,
  type AdapterToWrite,
  aboutAdapter,
  holdsFinishedRun,
  isAdapterFolder,
  isClassifierAdapter,
  type LoadedAdapter,
  namedBase,
  readAdapter,
  unfinishedAdapter,
  writeAdapter,
  writeAdapterFiles,
  writeBareAdapter,
} from "./adapter.js";
export type { NamedBase } from "./adapter-config.js";
export { readDevicePlans, writeDevicePlans } from "./device-plans.js";
export { type Factors, readFactors, writeFactors } from "./factors.js";
export { checkModelOutput, removeFolder } from "./files.js";
export { readLabels } from "./labels.js";
export { checkpointProblem } from "./manifest.js";
export { checkMergeable, type MergedParts, type MergeOptions, writeMerged } from "./merge.js";
export { type CardRun, hubName, type TextCounts } from "./model-card.js";
export { readOptimizerState, writeOptimizerState } from "./optimizer.js";
export { type PublishedFile, publishedFiles } from "./published.js";
export { isPlain, readTensor, writeQuantized } from "./quantize.js";
export { type Identity, type RunState, readRunState, writeRunState } from "./run-state.js";
export { type SavedSizes, savedSizes } from "./size.js";
export { type TrainerProgress, trainerState, writeTrainerState } from "./state.js";
export {
  checkpointFolder,
  listCheckpoints,
  pruneCheckpoints,
  recoverCheckpoints,
  removeLater,
  saveCheckpoint,
} from "./store.js";
