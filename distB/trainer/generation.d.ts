import type { Tokenizer } from "../data/index.js";
import type { Engine, SamplingOptions } from "../native/index.js";
import type { TrainerEvent } from "./events.js";
export interface GenerationOptions extends SamplingOptions {
    maxNewTokens: number;
    /** Tokens that end a text; they are not part of it. */
    stopIds: ReadonlySet<number>;
    signal?: AbortSignal | undefined;
    onToken?: () => void;
}
/** How a text came to its end. */
export interface Ending {
    /** Tokens of the text. */
    tokens: number;
    /** The token that ended it; null where the length or the signal did. */
    stop: number | null;
}
/** What the model goes on to write after a prompt, piece by piece as it comes. */
export declare function generate(engine: Engine, tokenizer: Tokenizer, prompt: Int32Array, options: GenerationOptions): AsyncGenerator<string, Ending>;
/** Tokens of a validation text that a sample starts from, and how its continuation is chosen. */
export declare const SAMPLE: {
    promptTokens: number;
    temperature: number;
    topP: number;
};
export interface SampleOptions {
    /** Beginnings of texts. */
    prompts: Int32Array[];
    seed: number;
    maxNewTokens: number;
    /** Longest text that the engine can hold. */
    maxSequence: number;
    stopIds: ReadonlySet<number>;
    /** Ends the sample at the next token, and begins none. */
    signal?: AbortSignal | undefined;
}
/** The seed of the i-th sample; after the largest one comes 0. */
export declare function seedOf(seed: number, i: number): number;
type SampleEvent = Extract<TrainerEvent, {
    type: "sampling" | "sample";
}>;
/** Continuations of the beginnings of some texts, and how far they are. */
export declare function samples(engine: Engine, tokenizer: Tokenizer, options: SampleOptions): AsyncGenerator<SampleEvent>;
export {};
