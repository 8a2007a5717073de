export { type AdapterToWrite, type LoadedAdapter, readAdapter, writeAdapter } from "./adapter.js";
export { type MergeOptions, writeMerged } from "./merge.js";
export { type TrainerProgress, trainerState, writeTrainerState } from "./state.js";
export { checkpointFolder, copyTokenizerFiles, listCheckpoints, pruneCheckpoints, saveCheckpoint } from "./store.js";
