export declare const TRAINER_STATE = "trainer_state.json";
export interface TrainerProgress {
    /** Optimizer steps made, and of the whole run. */
    step: number;
    maxSteps: number;
    /** Times through the training texts so far, and of the whole run. */
    epoch: number;
    epochs: number;
    batchSize: number;
    loggingSteps: number;
    evalSteps: number;
    saveSteps: number;
    /** Lines of metrics so far, each with its `step`. */
    history: object[];
    best: {
        step: number;
        metric: number;
        folder: string;
    } | null;
}
/** trainer_state.json with the keys of the Hugging Face Trainer. */
export declare function trainerState(progress: TrainerProgress): Record<string, unknown>;
/** @throws LowrankError E_WRITE */
export declare function writeTrainerState(folder: string, state: Record<string, unknown>): Promise<void>;
