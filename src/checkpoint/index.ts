export {
  type AdapterAbout,
  type AdapterToWrite,
  aboutAdapter,
  baseOfAdapter,
  holdsFinishedRun,
  isAdapterFolder,
  type LoadedAdapter,
  readAdapter,
  unfinishedAdapter,
  writeAdapter,
  writeAdapterFiles,
  writeBareAdapter,
} from "./adapter.js";
export { removeFolder } from "./files.js";
export { checkpointProblem } from "./manifest.js";
export { type MergeOptions, writeMerged } from "./merge.js";
export type { CardRun, TextCounts } from "./model-card.js";
export { readOptimizerState, writeOptimizerState } from "./optimizer.js";
export { isPlain, writeQuantized } from "./quantize.js";
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
