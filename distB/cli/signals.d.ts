/**
 * Runs work that a signal may ask to stop. The first signal raises the abort signal, so that what is in progress is
 * finished and saved; the second ends the process at once.
 * @returns the exit code: 0, or that of the signal
 */
export declare function stoppable(work: (signal: AbortSignal) => Promise<void>): Promise<number>;
