import { type MemoryPlan } from "../native/index.js";
import { type ParameterCounts } from "../setup/memory/plan.js";
import { type RunResult } from "../setup/run/train.js";
import { type Evaluation, type TrainerEvent } from "../trainer/index.js";
import type { Adapter } from "./adapter.js";
import { type Model } from "./model.js";
import { type TrainerOptions } from "./options.js";
import { type TrainerState } from "./state.js";
import { type TextOptions } from "./text.js";
/** What a run tells, in order; the last event is `end`. */
export type RunEvent = TrainerEvent | ({
    type: "end";
} & RunResult);
/** Fine-tunes an adapter on a model, on a native thread of its own. */
export declare class Trainer {
    #private;
    private constructor();
    /**
     * Reads and tokenises the texts, plans the memory and takes it. Nothing is written to `output_dir` before the first step.
     * @throws LowrankError E_USAGE, E_MEMORY, E_OUTPUT_EXISTS and those of reading
     */
    static create(model: Model, given: TrainerOptions): Promise<Trainer>;
    get state(): TrainerState;
    /** What it takes of the memory, item by item. */
    get memory(): MemoryPlan;
    get parameters(): ParameterCounts;
    /**
     * Trains, once. The run goes on when the next event is asked for: while one is handled, the trainer is free for its other
     * methods. Leaving the loop ends the run after the micro-batch in progress.
     * @param signal ends it after the micro-batch in progress, with the signal's reason; nothing is saved
     * @throws LowrankError E_NAN and others of the run; E_BUSY, E_STATE, E_BROKEN, E_CLOSED
     */
    run(options?: {
        signal?: AbortSignal | undefined;
    }): AsyncGenerator<RunEvent, void, undefined>;
    /** Lets the run finish the step in progress, save and end; its `end` event says `aborted`. */
    stop(): void;
    /**
     * The text that follows a prompt, by the model with the adapter as it is now. With `wait` it begins as soon as no step and no
     * other call is in progress, and a run stands still until the text has its end or its reader has left.
     */
    generate(prompt: string, options?: TextOptions & {
        wait?: boolean | undefined;
    }): AsyncGenerator<string>;
    /** Loss and perplexity on the validation texts, with the adapter as it is now. */
    evaluate(options?: {
        signal?: AbortSignal | undefined;
    }): Promise<Evaluation>;
    /** A copy of the adapter as it is now. */
    adapter(): Promise<Adapter>;
    /** Writes the adapter as it is now, in PEFT's layout, and the tokenizer beside it. @throws LowrankError E_WRITE */
    save(folder: string): Promise<void>;
    /** Ends what is in progress and frees the memory. May be called at any time, also twice. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
