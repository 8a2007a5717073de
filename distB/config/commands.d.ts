import type { OptionsOf, Rows } from "./row.js";
/** A command as the user sees it: what it is for, an example and its options. */
export interface Command<R extends Rows = Rows> {
    name: string;
    summary: string;
    example: string;
    /** Option that may also stand without its name. */
    positional?: string;
    /** Whether it trains: a signal asks it to save and end, its results are files, and it tells of options that it ignores. */
    trains?: true;
    rows: R;
}
type Named<T> = {
    [N in keyof T]: T[N] & {
        name: N;
    };
};
/**
 * Every command, in the order of the help: a command is its entry here, which is known before any of its code is loaded, and
 * `run` in src/commands/NAME.ts.
 */
export declare const commands: Named<{
    train: {
        trains: true;
        summary: string;
        example: string;
        rows: {
            json: {
                help: string;
                schema: import("zod").ZodType<boolean, unknown, import("zod/v4/core").$ZodTypeInternals<boolean, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: boolean | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            merge: import("./row.js").Row<boolean | undefined>;
            config: import("./row.js").Row<string | undefined>;
            profile: import("./row.js").Row<boolean>;
            dry_run: import("./row.js").Row<boolean>;
            lora_r: import("./row.js").Row<number>;
            lora_alpha: import("./row.js").Row<number>;
            lora_dropout: import("./row.js").Row<number>;
            target_modules: import("./row.js").Row<string | undefined>;
            use_rslora: import("./row.js").Row<boolean>;
            init_adapter: import("./row.js").Row<string | undefined>;
            train_file: import("./row.js").Row<string[]>;
            validation_file: {
                help: string;
                schema: import("zod").ZodType<string[] | undefined, unknown, import("zod/v4/core").$ZodTypeInternals<string[] | undefined, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: string[] | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            text_column: import("./row.js").Row<string>;
            text_by: import("./row.js").Row<"line" | "file" | "paragraph" | undefined>;
            json_field: import("./row.js").Row<string | undefined>;
            csv_separator: import("./row.js").Row<"comma" | "semicolon" | "tab" | "pipe" | undefined>;
            csv_quoting: import("./row.js").Row<"none" | "minimal" | undefined>;
            max_seq_length: import("./row.js").Row<number>;
            pad_to_max_length: import("./row.js").Row<boolean>;
            long_text: import("./row.js").Row<"truncate" | "chunk">;
            add_eos: import("./row.js").Row<boolean>;
            packing: import("./row.js").Row<boolean>;
            group_by_length: import("./row.js").Row<boolean>;
            cache_dir: import("./row.js").Row<string | undefined>;
            cache_limit_gb: import("./row.js").Row<number>;
            shuffle: import("./row.js").Row<boolean>;
            num_train_epochs: import("./row.js").Row<number>;
            max_steps: import("./row.js").Row<number | undefined>;
            per_device_train_batch_size: import("./row.js").Row<number>;
            gradient_accumulation_steps: import("./row.js").Row<number>;
            optim: import("./row.js").Row<"adamw" | "adamw_8bit">;
            learning_rate: import("./row.js").Row<number>;
            lr_scheduler: import("./row.js").Row<"linear" | "cosine" | "constant">;
            warmup_ratio: import("./row.js").Row<number>;
            warmup_steps: import("./row.js").Row<number | undefined>;
            weight_decay: import("./row.js").Row<number>;
            max_grad_norm: import("./row.js").Row<number>;
            loss_scale: import("./row.js").Row<number>;
            loss_scale_window: import("./row.js").Row<number>;
            gradient_checkpointing: import("./row.js").Row<boolean>;
            seed: import("./row.js").Row<number>;
            output_dir: import("./row.js").Row<string>;
            overwrite_output_dir: import("./row.js").Row<boolean>;
            resume: import("./row.js").Row<string | undefined>;
            logging_steps: import("./row.js").Row<number>;
            eval_strategy: import("./row.js").Row<"epoch" | "steps" | "no">;
            eval_steps: import("./row.js").Row<number>;
            per_device_eval_batch_size: import("./row.js").Row<number>;
            save_strategy: import("./row.js").Row<"epoch" | "steps" | "no">;
            save_steps: import("./row.js").Row<number>;
            save_total_limit: import("./row.js").Row<number>;
            load_best_model_at_end: import("./row.js").Row<boolean | undefined>;
            metric_for_best_model: import("./row.js").Row<"eval_loss" | "eval_perplexity">;
            early_stopping_patience: import("./row.js").Row<number | undefined>;
            early_stopping_threshold: import("./row.js").Row<number>;
            num_samples: import("./row.js").Row<number>;
            sample_max_new_tokens: import("./row.js").Row<number>;
            memory_limit: import("./row.js").Row<number | undefined>;
            base_model: import("./row.js").Row<string>;
            tokenizer_name: import("./row.js").Row<string | undefined>;
            precision: import("./row.js").Row<"bf16" | "fp32" | "fp16" | "auto">;
            use_4bit: import("./row.js").Row<boolean>;
            use_8bit: import("./row.js").Row<boolean>;
            quant_type: import("./row.js").Row<"nf4" | "fp4" | "int8" | "llm_int8" | undefined>;
            double_quant: import("./row.js").Row<boolean>;
            quantize_skip: import("./row.js").Row<string[] | undefined>;
            quantize_head: import("./row.js").Row<boolean>;
            share_weights: import("./row.js").Row<boolean>;
            threads: import("./row.js").Row<number | undefined>;
        };
    };
    generate: {
        summary: string;
        example: string;
        rows: {
            precision: import("./row.js").Row<"bf16" | "fp32" | "fp16" | "auto">;
            threads: import("./row.js").Row<number | undefined>;
            config: import("./row.js").Row<string | undefined>;
            adapter: import("./row.js").Row<string | undefined>;
            prompt: import("./row.js").Row<string>;
            max_new_tokens: import("./row.js").Row<number>;
            temperature: import("./row.js").Row<number>;
            top_k: import("./row.js").Row<number>;
            top_p: import("./row.js").Row<number>;
            seed: import("./row.js").Row<number>;
            use_4bit: import("./row.js").Row<boolean>;
            use_8bit: import("./row.js").Row<boolean>;
            quant_type: import("./row.js").Row<"nf4" | "fp4" | "int8" | "llm_int8" | undefined>;
            double_quant: import("./row.js").Row<boolean>;
            quantize_skip: import("./row.js").Row<string[] | undefined>;
            quantize_head: import("./row.js").Row<boolean>;
            base_model: {
                help: string;
                schema: import("zod").ZodType<string | undefined, unknown, import("zod/v4/core").$ZodTypeInternals<string | undefined, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: string | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            tokenizer_name: import("./row.js").Row<string | undefined>;
        };
    };
    eval: {
        summary: string;
        example: string;
        rows: {
            precision: import("./row.js").Row<"bf16" | "fp32" | "fp16" | "auto">;
            threads: import("./row.js").Row<number | undefined>;
            config: import("./row.js").Row<string | undefined>;
            per_device_eval_batch_size: import("./row.js").Row<number>;
            json: import("./row.js").Row<boolean>;
            long_text: import("./row.js").Row<"truncate" | "chunk">;
            add_eos: import("./row.js").Row<boolean>;
            cache_dir: import("./row.js").Row<string | undefined>;
            cache_limit_gb: import("./row.js").Row<number>;
            max_seq_length: import("./row.js").Row<number>;
            text_column: import("./row.js").Row<string>;
            text_by: import("./row.js").Row<"line" | "file" | "paragraph" | undefined>;
            json_field: import("./row.js").Row<string | undefined>;
            csv_separator: import("./row.js").Row<"comma" | "semicolon" | "tab" | "pipe" | undefined>;
            csv_quoting: import("./row.js").Row<"none" | "minimal" | undefined>;
            adapter: import("./row.js").Row<string | undefined>;
            validation_file: import("./row.js").Row<string[]>;
            share_weights: import("./row.js").Row<boolean>;
            use_4bit: import("./row.js").Row<boolean>;
            use_8bit: import("./row.js").Row<boolean>;
            quant_type: import("./row.js").Row<"nf4" | "fp4" | "int8" | "llm_int8" | undefined>;
            double_quant: import("./row.js").Row<boolean>;
            quantize_skip: import("./row.js").Row<string[] | undefined>;
            quantize_head: import("./row.js").Row<boolean>;
            base_model: {
                help: string;
                schema: import("zod").ZodType<string | undefined, unknown, import("zod/v4/core").$ZodTypeInternals<string | undefined, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: string | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            tokenizer_name: import("./row.js").Row<string | undefined>;
        };
    };
    merge: {
        summary: string;
        example: string;
        rows: {
            adapter: import("./row.js").Row<string>;
            output_dir: import("./row.js").Row<string>;
            overwrite_output_dir: import("./row.js").Row<boolean>;
            threads: import("./row.js").Row<number | undefined>;
            config: import("./row.js").Row<string | undefined>;
            base_model: {
                help: string;
                schema: import("zod").ZodType<string | undefined, unknown, import("zod/v4/core").$ZodTypeInternals<string | undefined, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: string | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            tokenizer_name: import("./row.js").Row<string | undefined>;
        };
    };
    quantize: {
        summary: string;
        example: string;
        rows: {
            use_4bit: {
                help: string;
                schema: import("zod").ZodType<boolean, unknown, import("zod/v4/core").$ZodTypeInternals<boolean, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: boolean | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            output_dir: {
                help: string;
                schema: import("zod").ZodType<string, unknown, import("zod/v4/core").$ZodTypeInternals<string, unknown>>;
                kind: import("./row.js").Kind;
                expects: string;
                defaultValue: string | undefined;
                required: boolean;
                bare?: string;
                group: string;
                decides: "bits" | "nothing";
            };
            overwrite_output_dir: import("./row.js").Row<boolean>;
            threads: import("./row.js").Row<number | undefined>;
            config: import("./row.js").Row<string | undefined>;
            use_8bit: import("./row.js").Row<boolean>;
            quant_type: import("./row.js").Row<"nf4" | "fp4" | "int8" | "llm_int8" | undefined>;
            double_quant: import("./row.js").Row<boolean>;
            quantize_skip: import("./row.js").Row<string[] | undefined>;
            quantize_head: import("./row.js").Row<boolean>;
            base_model: import("./row.js").Row<string>;
            tokenizer_name: import("./row.js").Row<string | undefined>;
        };
    };
    inspect: {
        summary: string;
        example: string;
        positional: string;
        rows: {
            precision: import("./row.js").Row<"bf16" | "fp32" | "fp16" | "auto">;
            threads: import("./row.js").Row<number | undefined>;
            config: import("./row.js").Row<string | undefined>;
            lora_r: import("./row.js").Row<number>;
            target_modules: import("./row.js").Row<string | undefined>;
            max_seq_length: import("./row.js").Row<number>;
            per_device_train_batch_size: import("./row.js").Row<number>;
            gradient_checkpointing: import("./row.js").Row<boolean>;
            optim: import("./row.js").Row<"adamw" | "adamw_8bit">;
            memory_limit: import("./row.js").Row<number | undefined>;
            json: import("./row.js").Row<boolean>;
            share_weights: import("./row.js").Row<boolean>;
            use_4bit: import("./row.js").Row<boolean>;
            use_8bit: import("./row.js").Row<boolean>;
            quant_type: import("./row.js").Row<"nf4" | "fp4" | "int8" | "llm_int8" | undefined>;
            double_quant: import("./row.js").Row<boolean>;
            quantize_skip: import("./row.js").Row<string[] | undefined>;
            quantize_head: import("./row.js").Row<boolean>;
            base_model: import("./row.js").Row<string>;
        };
    };
    preview: {
        summary: string;
        example: string;
        rows: {
            num_rows: import("./row.js").Row<number>;
            json: import("./row.js").Row<boolean>;
            threads: import("./row.js").Row<number | undefined>;
            config: import("./row.js").Row<string | undefined>;
            long_text: import("./row.js").Row<"truncate" | "chunk">;
            add_eos: import("./row.js").Row<boolean>;
            cache_dir: import("./row.js").Row<string | undefined>;
            cache_limit_gb: import("./row.js").Row<number>;
            max_seq_length: import("./row.js").Row<number>;
            text_column: import("./row.js").Row<string>;
            text_by: import("./row.js").Row<"line" | "file" | "paragraph" | undefined>;
            json_field: import("./row.js").Row<string | undefined>;
            csv_separator: import("./row.js").Row<"comma" | "semicolon" | "tab" | "pipe" | undefined>;
            csv_quoting: import("./row.js").Row<"none" | "minimal" | undefined>;
            train_file: import("./row.js").Row<string[]>;
            base_model: import("./row.js").Row<string>;
            tokenizer_name: import("./row.js").Row<string | undefined>;
        };
    };
    cache: {
        summary: string;
        example: string;
        positional: string;
        rows: {
            action: import("./row.js").Row<"ls" | "clear">;
            cache_dir: import("./row.js").Row<string | undefined>;
            json: import("./row.js").Row<boolean>;
        };
    };
    init: {
        summary: string;
        example: string;
        positional: string;
        rows: {
            file: import("./row.js").Row<string>;
        };
    };
    schema: {
        summary: string;
        example: string;
        rows: {};
    };
    doctor: {
        summary: string;
        example: string;
        rows: {
            cache_dir: import("./row.js").Row<string | undefined>;
            json: import("./row.js").Row<boolean>;
        };
    };
    completion: {
        summary: string;
        example: string;
        positional: string;
        rows: {
            shell: import("./row.js").Row<"bash" | "zsh" | "fish">;
        };
    };
}>;
export declare const commandList: readonly Command[];
/** The validated options of a command. */
export type CommandOptions<N extends keyof typeof commands> = OptionsOf<(typeof commands)[N]["rows"]>;
export {};
