import { type Resumption } from "./resume.js";
export interface FolderOptions {
    output_dir: string;
    overwrite_output_dir: boolean;
    resume: string | undefined;
}
/** The output folder of a run: whether the run may write there, the checkpoint it goes on from, and the lock. */
export declare class RunFolder {
    #private;
    /** @param inputs folders that the run reads and must not write into */
    constructor(o: FolderOptions, inputs: (string | undefined)[]);
    get path(): string;
    /** Refuses early; nothing is changed. @throws LowrankError E_OUTPUT_LOCKED, E_OUTPUT_EXISTS */
    check(): void;
    /**
     * Finds the checkpoint that `--resume` means. Where it lies in this folder, no other run may change it from here on.
     * @param looksOnly whether nothing may be changed, the lock included
     * @returns null where the run begins anew
     * @throws LowrankError E_OUTPUT_LOCKED, E_CHECKPOINT, E_FILE_MISSING
     */
    findCheckpoint(warn: (message: string) => void, looksOnly?: boolean): Promise<Resumption | null>;
    /**
     * Makes the folder this run's: empty of earlier results, or cut back to the checkpoint that the run goes on from.
     * @returns the checkpoints removed
     * @throws LowrankError E_OUTPUT_LOCKED, E_OUTPUT_EXISTS, E_WRITE
     */
    begin(resumption: Resumption | null): Promise<string[]>;
    release(): void;
}
