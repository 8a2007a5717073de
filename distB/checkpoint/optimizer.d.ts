import type { OptimizerState } from "../native/index.js";
/** @throws LowrankError E_WRITE */
export declare function writeOptimizerState(folder: string, state: OptimizerState): Promise<void>;
/** Whether it fits the adapter is for the engine to say. @throws LowrankError E_FILE_MISSING, E_FILE, E_CHECKPOINT */
export declare function readOptimizerState(folder: string): OptimizerState;
