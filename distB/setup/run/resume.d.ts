import { type Identity, type RunState } from "../../checkpoint/index.js";
import { type Engine, type ModelSource } from "../../native/index.js";
import type { Resumed } from "../../trainer/index.js";
/** Like that, or from the beginning where there is no checkpoint yet. */
export declare const AUTO = "auto";
/** A whole checkpoint that a run goes on from. */
export interface Resumption extends Resumed {
    state: RunState;
    /** Whether it lies in the run's own output folder. */
    inPlace: boolean;
}
/** Whether `--resume` means a checkpoint in this output folder, so that the run goes on there. */
export declare function liesIn(wanted: string, outputDir: string): boolean;
type Warn = (message: string) => void;
/**
 * Finds the checkpoint that `--resume` means and reads what is not large of it.
 * @param looksOnly whether nothing may be changed, not even put back
 * @returns null where `auto` finds none
 * @throws LowrankError E_CHECKPOINT, E_FILE_MISSING
 */
export declare function findCheckpoint(wanted: string, outputDir: string, warn: Warn, looksOnly?: boolean): Promise<Resumption | null>;
/** @throws LowrankError E_RESUME naming every setting that is not the checkpoint's, with both values */
export declare function checkAgreement({ folder, state }: Resumption, settings: Identity, warn: Warn): void;
/** Puts the adapter and the optimizer's state of the checkpoint into the engine. */
export declare function restore({ folder }: Resumption, engine: Engine, model: ModelSource): Promise<void>;
export {};
