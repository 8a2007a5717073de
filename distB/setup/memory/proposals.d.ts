import type { Optimizer, Precision } from "../../native/index.js";
/** Settings that decide how much memory a training run needs. */
export interface Settings {
    precision: Precision;
    batchSize: number;
    accumulation: number;
    sequence: number;
    rank: number;
    /** Gradient checkpointing of every block. */
    checkpointing: boolean;
    optimizer: Optimizer;
    /** Quantises a base that is stored plainly; undefined where it stays as it is. */
    base?: "use_8bit" | "use_4bit" | undefined;
}
/** What is not the user's to choose. */
export interface Fixed {
    rank: boolean;
    /** Whether the base may not be quantised. */
    base: boolean;
}
/**
 * The smallest changes that fit, as flags: of one setting, where that is enough, each way; else of several together, of a
 * base as it is and of a quantised one.
 */
export declare function proposals(settings: Settings, fixed: Fixed, fits: (changed: Settings) => boolean): string[];
