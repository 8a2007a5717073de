import type { Row, Rows } from "./row.js";
/** Other names of options, with the same values and the same meaning: accepted wherever the option's own name is. */
export declare const aliases: {
    readonly model: "base_model";
    readonly model_name: "base_model";
    readonly model_name_or_path: "base_model";
    readonly pretrained_model_name_or_path: "base_model";
    readonly base_model_name_or_path: "base_model";
    readonly tokenizer: "tokenizer_name";
    readonly tokenizer_path: "tokenizer_name";
    readonly load_in_4bit: "use_4bit";
    readonly bnb_4bit_quant_type: "quant_type";
    readonly bnb_4bit_use_double_quant: "double_quant";
    readonly use_bnb_nested_quant: "double_quant";
    readonly r: "lora_r";
    readonly rank: "lora_r";
    readonly lora_rank: "lora_r";
    readonly alpha: "lora_alpha";
    readonly lora_target_modules: "target_modules";
    readonly train_files: "train_file";
    readonly training_file: "train_file";
    readonly val_file: "validation_file";
    readonly valid_file: "validation_file";
    readonly eval_file: "validation_file";
    readonly validation_files: "validation_file";
    readonly text_field: "text_column";
    readonly dataset_text_field: "text_column";
    readonly max_length: "max_seq_length";
    readonly max_seq_len: "max_seq_length";
    readonly max_sequence_length: "max_seq_length";
    readonly sequence_len: "max_seq_length";
    readonly cutoff_len: "max_seq_length";
    readonly sample_packing: "packing";
    readonly add_eos_token: "add_eos";
    readonly epochs: "num_train_epochs";
    readonly num_epochs: "num_train_epochs";
    readonly num_steps: "max_steps";
    readonly max_train_steps: "max_steps";
    readonly micro_batch_size: "per_device_train_batch_size";
    readonly per_gpu_train_batch_size: "per_device_train_batch_size";
    readonly grad_accum: "gradient_accumulation_steps";
    readonly grad_accum_steps: "gradient_accumulation_steps";
    readonly gradient_accumulation: "gradient_accumulation_steps";
    readonly optimizer: "optim";
    readonly lr: "learning_rate";
    readonly lr_scheduler_type: "lr_scheduler";
    readonly wd: "weight_decay";
    readonly max_norm: "max_grad_norm";
    readonly gradient_clipping: "max_grad_norm";
    readonly use_gradient_checkpointing: "gradient_checkpointing";
    readonly activation_checkpointing: "gradient_checkpointing";
    readonly random_seed: "seed";
    readonly random_state: "seed";
    readonly output: "output_dir";
    readonly output_path: "output_dir";
    readonly resume_from_checkpoint: "resume";
    readonly evaluation_strategy: "eval_strategy";
    readonly eval_batch_size: "per_device_eval_batch_size";
    readonly per_gpu_eval_batch_size: "per_device_eval_batch_size";
    readonly num_threads: "threads";
};
/** The option that a name means: itself, or what it is another name of. */
export declare function canonical(name: string): string;
/** Other names of an option. */
export declare function otherNames(option: string): string[];
/** The option of that name, or of which that is another name. */
export declare function findRow(rows: Rows, name: string): {
    key: string;
    row: Row;
} | undefined;
/**
 * Names that mean something near, but not the same: what to use instead. `{option}` and `{option=value}` are spelled as the
 * user spells options.
 */
export declare const HINTS: Record<string, string>;
/** @param spelled how the user writes an option, with a value or without */
export declare function hintFor(name: string, spelled: (option: string, value?: string) => string): string | undefined;
