export { aboutAdapter, baseOfAdapter, isAdapterFolder, readAdapter, writeAdapter, writeAdapterFiles, writeBareAdapter, } from "./adapter.js";
export { checkpointProblem } from "./manifest.js";
export { writeMerged } from "./merge.js";
export { readOptimizerState, writeOptimizerState } from "./optimizer.js";
export { isPlain, writeQuantized } from "./quantize.js";
export { readRunState, writeRunState } from "./run-state.js";
export { savedSizes } from "./size.js";
export { trainerState, writeTrainerState } from "./state.js";
export { checkpointFolder, listCheckpoints, pruneCheckpoints, recoverCheckpoints, removeLater, saveCheckpoint, } from "./store.js";
