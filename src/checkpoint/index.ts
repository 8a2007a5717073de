export { type AdapterToWrite, type LoadedAdapter, readAdapter, writeAdapter } from "./adapter.js";
export { type MergeOptions, writeMerged } from "./merge.js";
export { type TrainerProgress, trainerState, writeTrainerState } from "./state.js";
export { copyTokenizerFiles, listCheckpoints, pruneCheckpoints, saveCheckpoint } from "./store.js";
