/**
 * What an output folder may hold: nothing; what a run left that was killed before its first checkpoint, beside files that
 * no run writes; or the results of an earlier run.
 */
export type Allowed = "nothing" | "leftovers" | "results";
/** Whether there is a checkpoint in a folder, whole or not. */
export declare function holdsCheckpoints(folder: string): boolean;
/**
 * Whether results may be written to a folder; nothing is changed.
 * @param inputs folders that the run reads and must not write into
 * @param canResume whether what writes there knows --resume
 * @throws LowrankError E_OUTPUT_EXISTS
 */
export declare function checkOutput(folder: string, allowed: Allowed, inputs?: (string | undefined)[], canResume?: boolean): void;
/** Makes the folder, without the results of an earlier run. Files that are not ours stay. */
export declare function beginOutput(folder: string): void;
