import { type aliases, type OptionsOf } from "../config/index.js";
import { type TextSource } from "../data/index.js";
import type { RunOptions } from "../setup/run/options.js";
import { type Texts } from "./arguments.js";
declare const command: {
    name: string;
    summary: string;
    example: string;
    rows: {
        train_file: import("../config/row.js").Row<string[] | undefined>;
        output_dir: import("../config/row.js").Row<string | undefined>;
        train: import("../config/row.js").Row<Texts | undefined>;
        validation: import("../config/row.js").Row<Texts | undefined>;
        samples: import("../config/row.js").Row<boolean>;
        lora_r: import("../config/row.js").Row<number>;
        lora_alpha: import("../config/row.js").Row<number>;
        lora_dropout: import("../config/row.js").Row<number>;
        target_modules: import("../config/row.js").Row<string | undefined>;
        use_rslora: import("../config/row.js").Row<boolean>;
        init_adapter: import("../config/row.js").Row<string | undefined>;
        validation_file: {
            help: string;
            schema: import("zod").ZodType<string[] | undefined, unknown, import("zod/v4/core").$ZodTypeInternals<string[] | undefined, unknown>>;
            kind: import("../config/row.js").Kind;
            expects: string;
            defaultValue: string[] | undefined;
            required: boolean;
            bare?: string;
            group: string;
            decides: "bits" | "nothing";
        };
        text_column: import("../config/row.js").Row<string>;
        text_by: import("../config/row.js").Row<"line" | "file" | "paragraph" | undefined>;
        json_field: import("../config/row.js").Row<string | undefined>;
        csv_separator: import("../config/row.js").Row<"comma" | "semicolon" | "tab" | "pipe" | undefined>;
        csv_quoting: import("../config/row.js").Row<"none" | "minimal" | undefined>;
        max_seq_length: import("../config/row.js").Row<number>;
        pad_to_max_length: import("../config/row.js").Row<boolean>;
        long_text: import("../config/row.js").Row<"truncate" | "chunk">;
        add_eos: import("../config/row.js").Row<boolean>;
        packing: import("../config/row.js").Row<boolean>;
        group_by_length: import("../config/row.js").Row<boolean>;
        cache_dir: import("../config/row.js").Row<string | undefined>;
        cache_limit_gb: import("../config/row.js").Row<number>;
        shuffle: import("../config/row.js").Row<boolean>;
        num_train_epochs: import("../config/row.js").Row<number>;
        max_steps: import("../config/row.js").Row<number | undefined>;
        per_device_train_batch_size: import("../config/row.js").Row<number>;
        gradient_accumulation_steps: import("../config/row.js").Row<number>;
        optim: import("../config/row.js").Row<"adamw" | "adamw_8bit">;
        learning_rate: import("../config/row.js").Row<number>;
        lr_scheduler: import("../config/row.js").Row<"linear" | "cosine" | "constant">;
        warmup_ratio: import("../config/row.js").Row<number>;
        warmup_steps: import("../config/row.js").Row<number | undefined>;
        weight_decay: import("../config/row.js").Row<number>;
        max_grad_norm: import("../config/row.js").Row<number>;
        loss_scale: import("../config/row.js").Row<number>;
        loss_scale_window: import("../config/row.js").Row<number>;
        gradient_checkpointing: import("../config/row.js").Row<boolean>;
        seed: import("../config/row.js").Row<number>;
        overwrite_output_dir: import("../config/row.js").Row<boolean>;
        resume: import("../config/row.js").Row<string | undefined>;
        logging_steps: import("../config/row.js").Row<number>;
        eval_strategy: import("../config/row.js").Row<"epoch" | "steps" | "no">;
        eval_steps: import("../config/row.js").Row<number>;
        per_device_eval_batch_size: import("../config/row.js").Row<number>;
        save_strategy: import("../config/row.js").Row<"epoch" | "steps" | "no">;
        save_steps: import("../config/row.js").Row<number>;
        save_total_limit: import("../config/row.js").Row<number>;
        load_best_model_at_end: import("../config/row.js").Row<boolean | undefined>;
        metric_for_best_model: import("../config/row.js").Row<"eval_loss" | "eval_perplexity">;
        early_stopping_patience: import("../config/row.js").Row<number | undefined>;
        early_stopping_threshold: import("../config/row.js").Row<number>;
        num_samples: import("../config/row.js").Row<number>;
        sample_max_new_tokens: import("../config/row.js").Row<number>;
        memory_limit: import("../config/row.js").Row<number | undefined>;
    };
};
type Values = OptionsOf<typeof command.rows>;
/** As they may be given. */
type Given = Omit<Values, "target_modules" | "train_file" | "validation_file" | "memory_limit" | "resume"> & {
    target_modules: string | string[] | undefined;
    train_file: string | string[] | undefined;
    validation_file: string | string[] | undefined;
    memory_limit: number | string | undefined;
    resume: string | boolean | undefined;
};
type Aliases = typeof aliases;
/** What other trainers call these options. */
type OtherNames = {
    [A in keyof Aliases as Aliases[A] extends keyof Given ? A : never]?: Aliases[A] extends keyof Given ? Given[Aliases[A]] | undefined : never;
};
/** The options of `lowrank train` under the same names and with the same defaults (docs/options.md), all optional. */
export type TrainerOptions = {
    [K in keyof Omit<Given, "train" | "validation" | "samples" | "output_dir">]?: Given[K] | undefined;
} & OtherNames & {
    /** Texts to train on, instead of `train_file`. */
    train?: Texts | undefined;
    /** Texts to evaluate on, instead of `validation_file`; without either, the validation split of a folder in `train_file`, else a tenth of the training texts. */
    validation?: Texts | undefined;
    /** Whether a run that was not stopped ends with `sample` events: what the model writes after three validation texts' beginnings. */
    samples?: boolean | undefined;
    /** Without it nothing is written, and `resume` is no option. */
    output_dir?: string | undefined;
};
/**
 * A list is checked here and now, other texts as they come.
 * @param name of the argument, for errors
 * @throws LowrankError E_DATA_ROW, E_DATA_EMPTY
 */
export declare function textSource(texts: Texts, name: string): TextSource;
export interface CheckedOptions {
    options: RunOptions;
    given: ReadonlySet<string>;
    train: string[] | TextSource;
    validation: string[] | TextSource | undefined;
    samples: boolean;
}
/** @throws LowrankError E_ARGUMENT, E_USAGE naming everything that is wrong */
export declare function checkOptions(object: unknown): CheckedOptions;
export {};
