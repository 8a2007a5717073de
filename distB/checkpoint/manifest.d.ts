/** Vouches for what the folder holds now. @throws LowrankError E_WRITE */
export declare function writeManifest(folder: string): Promise<void>;
/** What is wrong with a folder that should be a whole checkpoint, in words that follow its name; null where nothing is. */
export declare function checkpointProblem(folder: string): Promise<string | null>;
