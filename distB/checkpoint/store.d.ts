/** OUTPUT/checkpoint-N */
export declare function checkpointFolder(outputDir: string, step: number): string;
/**
 * Writes OUTPUT/checkpoint-N, its manifest last.
 * @param write fills the folder that it is given
 * @returns the checkpoint's folder
 * @throws LowrankError E_WRITE naming file and cause; then there is no checkpoint-N that was not there before
 */
export declare function saveCheckpoint(outputDir: string, step: number, write: (folder: string) => Promise<void>): Promise<string>;
/** Folders of the checkpoints, the oldest first; none where there is no such output folder. @throws LowrankError E_FILE */
export declare function listCheckpoints(outputDir: string): Promise<string[]>;
/**
 * Removes the oldest checkpoints beyond `limit`, and what interrupted runs left half-written or half-removed. The newest
 * and those in `keep` (folders or their names) stay even where they are more than `limit`.
 * @param limit null keeps all
 * @returns the folders removed
 * @throws LowrankError E_WRITE
 */
export declare function pruneCheckpoints(outputDir: string, limit: number | null, keep: string[]): Promise<string[]>;
/**
 * Puts a checkpoint back that a killed run had moved away to replace it, where the new one did not take its place.
 * @throws LowrankError E_WRITE
 */
export declare function recoverCheckpoints(outputDir: string): Promise<void>;
/**
 * Removes the checkpoints after `step`, which a run that goes on from there makes again, and what interrupted runs left.
 * @returns the checkpoints' folders
 */
export declare function removeLater(outputDir: string, step: number): Promise<string[]>;
