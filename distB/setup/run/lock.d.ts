/**
 * The file that says which process writes into a folder, and that this process has locked in the kernel. Where the file
 * system knows no such locks, the file LOCK.pid beside it takes its place. All names of locks begin like this.
 */
export declare const LOCK = ".lowrank.lock";
/** The right to write into an output folder, of one run at a time. That of a process that is no more is taken over. */
export declare class OutputLock {
    #private;
    constructor(folder: string);
    /** @throws LowrankError E_OUTPUT_LOCKED where a run has it */
    check(): void;
    /** The folder is made where there is none. @throws LowrankError E_OUTPUT_LOCKED, E_WRITE */
    take(): void;
    release(): void;
}
