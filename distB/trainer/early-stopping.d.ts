/** Metrics that a run can be judged by; smaller is better. */
export declare const METRICS: readonly ["eval_loss", "eval_perplexity"];
export type Metric = (typeof METRICS)[number];
export interface EarlyStoppingOptions {
    /** Evaluations without an improvement after which a run ends. */
    patience: number;
    /** A smaller improvement is none. */
    threshold: number;
}
/** What is kept of it in a checkpoint. */
export interface EarlyStoppingState {
    best: number | null;
    /** Evaluations since the last improvement. */
    waited: number;
}
/** Ends a run that gets no better, by the rules of transformers' `EarlyStoppingCallback`. */
export declare class EarlyStopping {
    #private;
    constructor(options: EarlyStoppingOptions, begun?: EarlyStoppingState);
    get state(): EarlyStoppingState;
    note(metric: number): void;
    get isOver(): boolean;
}
