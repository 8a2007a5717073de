/**
 * What a trainer is doing:
 * idle, running (a step is being made), paused (a run waits for its reader to take the next event), working (one of
 * the other methods), broken (a run failed) or closed.
 */
export type TrainerState = "idle" | "running" | "paused" | "working" | "broken" | "closed";
/** Lets one thing happen at a time. */
export declare class Gate {
    #private;
    get state(): TrainerState;
    /** Whether a run waits for its reader, who may never come back. */
    get isWithReader(): boolean;
    /** @throws LowrankError E_BUSY, E_STATE, E_BROKEN, E_CLOSED */
    beginRun(): void;
    /** An event is with its reader. */
    pause(): void;
    /** The reader has asked for the next event. @returns when nothing else is in progress */
    resume(): Promise<void>;
    /** The reader has left: the run ends without another step. */
    leave(): void;
    endRun(isBroken: boolean): void;
    /** Takes the trainer for something that a run must not be in the middle of. @returns a function that gives it back */
    enter(method: string): () => void;
    /**
     * The same, as soon as no step and nothing else is in progress. Each pause of a run lets in one of those who wait, and
     * others until the run's reader asks for the next event.
     * @returns null where the signal was raised before
     */
    enterLater(method: string, signal: AbortSignal | undefined): Promise<(() => void) | null>;
    /** @returns whether it was open */
    close(): boolean;
}
