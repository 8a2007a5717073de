import { Tokenizer } from "../data/index.js";
import { type ModelConfig, type ModelSource, type Precision } from "../native/index.js";
import { type QuantType } from "../setup/base.js";
import { type Evaluation } from "../trainer/index.js";
import type { Adapter } from "./adapter.js";
import { type Texts } from "./arguments.js";
import { type TextOptions } from "./text.js";
export interface ModelOptions {
    /** auto, the default, is bf16 for a base stored in 16 bits, else fp32. */
    precision?: "auto" | Precision | undefined;
    /** Worker threads of each of its engines; default all processors. */
    threads?: number | undefined;
    /** Folder with tokenizer.json, if not the model's. */
    tokenizer?: string | undefined;
    /** Stores the base's linears in 4 or 8 bits, quantised while they are loaded; options of `lowrank train`. */
    use_4bit?: boolean | undefined;
    use_8bit?: boolean | undefined;
    /** Of 4 bits nf4 or fp4, of 8 bits int8 or llm_int8; the latter two also for a base that is stored in int8. */
    quant_type?: QuantType | undefined;
    double_quant?: boolean | undefined;
    /** Modules that are not quantised, such as "down_proj". */
    quantize_skip?: string | string[] | undefined;
    /** The head is quantised, too. */
    quantize_head?: boolean | undefined;
    /** Leaves the weights in the page cache, shared with other processes; else they may be copied, see docs/memory.md. */
    share_weights?: boolean | undefined;
}
/** @throws LowrankError where it is no adapter, or one of another model */
export declare function loadAdapter(model: Model, folder: string): Promise<Adapter>;
export interface ModelEvaluateOptions {
    adapter?: Adapter | undefined;
    /** Texts of a batch; default 8. */
    batch_size?: number | undefined;
    /** Longest example in tokens; default 512. */
    max_seq_length?: number | undefined;
    /** What happens to longer texts; default truncate. */
    long_text?: "truncate" | "chunk" | undefined;
    /** Whether each text ends with the tokenizer's end token; default true, as in training. */
    add_eos?: boolean | undefined;
    cache_dir?: string | undefined;
    cache_limit_gb?: number | undefined;
    signal?: AbortSignal | undefined;
}
/** A trainer, for the model that it is made from. */
interface Closable {
    close(): Promise<void>;
}
/** Trainers tell a model when they are made, and by the function that this returns when they are closed. */
export declare let register: (model: Model, trainer: Closable, method: string) => () => void;
/** @throws LowrankError E_ARGUMENT where it is none */
export declare function checkModel(model: unknown, method: string): asserts model is Model;
/**
 * A base model and its tokenizer. Its weights are mapped, once in the process, for whatever is made from it; they are
 * never changed. Everything else that takes memory is made by each call and each trainer for itself.
 */
export declare class Model {
    #private;
    /** The folder as it was read; for `Engine` and the other parts. */
    readonly source: ModelSource;
    readonly tokenizer: Tokenizer;
    readonly precision: Precision;
    readonly threads: number;
    readonly sharesWeights: boolean;
    private constructor();
    /**
     * @param folder of a Hugging Face model: config.json, safetensors, tokenizer.json
     * @throws LowrankError naming file, key or tensor
     */
    static open(folder: string, options?: ModelOptions): Promise<Model>;
    get folder(): string;
    get config(): ModelConfig;
    /** Names for `target_modules`. */
    get targetModules(): string[];
    /** The text that follows a prompt, piece by piece as it comes. Several may be written at once, each with memory of its own. */
    generate(prompt: string, options?: TextOptions & {
        adapter?: Adapter | undefined;
    }): AsyncGenerator<string>;
    /** Loss and perplexity on texts. @throws the signal's reason where it is raised */
    evaluate(texts: Texts, options?: ModelEvaluateOptions): Promise<Evaluation>;
    /** Closes its trainers. What `generate` and `evaluate` are doing goes on to its end. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
export {};
