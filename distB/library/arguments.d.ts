import { type OptionsOf, type Rows } from "../config/index.js";
import type { Adapter } from "./adapter.js";
/** Texts in memory, or as they come. */
export type Texts = Iterable<string | {
    text: string;
}> | AsyncIterable<string | {
    text: string;
}>;
/** Not whether what it gives are texts: that is seen when they are read. */
export declare function isTexts(value: unknown): value is Texts;
/** Rows of what only programs can give. */
export declare const signal: import("../config/row.js").Row<AbortSignal | undefined>;
export declare const adapter: import("../config/row.js").Row<Adapter | undefined>;
/** @param instead what else may be given */
export declare const texts: (instead?: string) => import("../config/row.js").Row<Texts | undefined>;
export declare const yesOrNo: {
    required: () => import("../config/row.js").Row<boolean>;
    optional: () => import("../config/row.js").Row<boolean | undefined>;
    or: (value: boolean) => import("../config/row.js").Row<boolean>;
};
/** The options of a method. @throws LowrankError E_ARGUMENT, E_USAGE */
export declare function methodOptions<R extends Rows>(method: string, methodRows: R): (given: unknown) => OptionsOf<R>;
export declare const openOptions: (given: unknown) => OptionsOf<Omit<{
    base_model: import("../config/row.js").Row<string>;
    tokenizer_name: import("../config/row.js").Row<string | undefined>;
    precision: import("../config/row.js").Row<"bf16" | "fp32" | "fp16" | "auto">;
    use_4bit: import("../config/row.js").Row<boolean>;
    use_8bit: import("../config/row.js").Row<boolean>;
    quant_type: import("../config/row.js").Row<"nf4" | "fp4" | "int8" | "llm_int8" | undefined>;
    double_quant: import("../config/row.js").Row<boolean>;
    quantize_skip: import("../config/row.js").Row<string[] | undefined>;
    quantize_head: import("../config/row.js").Row<boolean>;
    share_weights: import("../config/row.js").Row<boolean>;
    threads: import("../config/row.js").Row<number | undefined>;
}, "base_model">>;
export declare const modelGenerateOptions: (given: unknown) => OptionsOf<{
    adapter: import("../config/row.js").Row<Adapter | undefined>;
    max_new_tokens: import("../config/row.js").Row<number>;
    temperature: import("../config/row.js").Row<number>;
    top_k: import("../config/row.js").Row<number>;
    top_p: import("../config/row.js").Row<number>;
    seed: import("../config/row.js").Row<number>;
    signal: import("../config/row.js").Row<AbortSignal | undefined>;
}>;
export declare const trainerGenerateOptions: (given: unknown) => OptionsOf<{
    wait: import("../config/row.js").Row<boolean>;
    max_new_tokens: import("../config/row.js").Row<number>;
    temperature: import("../config/row.js").Row<number>;
    top_k: import("../config/row.js").Row<number>;
    top_p: import("../config/row.js").Row<number>;
    seed: import("../config/row.js").Row<number>;
    signal: import("../config/row.js").Row<AbortSignal | undefined>;
}>;
export type TextRequestOptions = Omit<ReturnType<typeof trainerGenerateOptions>, "wait">;
export declare const modelEvaluateOptions: (given: unknown) => OptionsOf<{
    adapter: import("../config/row.js").Row<Adapter | undefined>;
    batch_size: import("../config/row.js").Row<number>;
    max_seq_length: import("../config/row.js").Row<number>;
    long_text: import("../config/row.js").Row<"truncate" | "chunk">;
    add_eos: import("../config/row.js").Row<boolean>;
    cache_dir: import("../config/row.js").Row<string | undefined>;
    cache_limit_gb: import("../config/row.js").Row<number>;
    signal: import("../config/row.js").Row<AbortSignal | undefined>;
}>;
export declare const runOptions: (given: unknown) => OptionsOf<{
    signal: import("../config/row.js").Row<AbortSignal | undefined>;
}>;
export declare const trainerEvaluateOptions: (given: unknown) => OptionsOf<{
    signal: import("../config/row.js").Row<AbortSignal | undefined>;
}>;
/** @throws LowrankError E_ARGUMENT where a path is none */
export declare function checkPath(value: unknown, method: string, name: string): asserts value is string;
/** @throws LowrankError E_ARGUMENT */
export declare function checkTexts(value: unknown, method: string): asserts value is Texts;
