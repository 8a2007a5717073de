import type { OptionsOf, Rows } from "./row.js";
import { optional } from "./row.js";
import { inOrder, modelRows, needed, rows, terminalRows, trainRows } from "./rows.js";

/** A command as the user sees it: what it is for, an example and its options. */
export interface Command<R extends Rows = Rows> {
  name: string;
  summary: string;
  example: string;
  /** Option that may also stand without its name. */
  positional?: string;
  rows: R;
}

const command = <R extends Rows>(command: Command<R>): Command<R> => command;

const { base_model, tokenizer_name, precision, threads, config, seed, json } = rows;
const { use_4bit, use_8bit, quant_type, double_quant, quantize_skip, quantize_head } = rows;
const quantized = { use_4bit, use_8bit, quant_type, double_quant, quantize_skip, quantize_head };
const model = { base_model, tokenizer_name };
/** Of commands that take an adapter. */
const adapted = {
  base_model: { ...optional(base_model), help: `${base_model.help}; default: the one that adapter_config.json names` },
  tokenizer_name,
};
const run = { precision, threads, config };
const weights = { ...quantized, share_weights: rows.share_weights };
const { adapter, prompt, max_new_tokens, temperature, top_k, top_p, num_rows, action, shell, file } = rows;
const { text_column, text_by, json_field, csv_separator, csv_quoting } = rows;
const texts = { text_column, text_by, json_field, csv_separator, csv_quoting };
const { long_text, add_eos, cache_dir, cache_limit_gb } = rows;
const cache = { long_text, add_eos, cache_dir, cache_limit_gb };

export const trainCommand = command({
  name: "train",
  summary: "Fine-tune a base model on texts and write a LoRA adapter",
  example: "lowrank train --base_model ./SmolLM2-135M --train_file texts.jsonl --output_dir ./lora_model",
  rows: inOrder({
    ...modelRows,
    ...trainRows,
    ...terminalRows,
    json: { ...json, help: "print every event as a line of JSON on standard output" },
  }),
});

export const generateCommand = command({
  name: "generate",
  summary: "Go on from a prompt; the text goes to standard output, everything else to standard error",
  example: 'lowrank generate --base_model ./SmolLM2-135M --adapter ./lora_model --prompt "Once upon a time"',
  rows: { ...adapted, ...quantized, adapter, prompt, max_new_tokens, temperature, top_k, top_p, seed, ...run },
});

export const evalCommand = command({
  name: "eval",
  summary: "Loss and perplexity on texts, with an adapter or without",
  example: "lowrank eval --base_model ./SmolLM2-135M --adapter ./lora_model --validation_file texts.jsonl",
  rows: {
    ...adapted,
    ...weights,
    adapter,
    validation_file: needed.validation_file,
    ...texts,
    max_seq_length: rows.max_seq_length,
    ...cache,
    per_device_eval_batch_size: rows.per_device_eval_batch_size,
    json,
    ...run,
  },
});

export const mergeCommand = command({
  name: "merge",
  summary: "Write the base model with an adapter merged into its weights",
  example: "lowrank merge --base_model ./SmolLM2-135M --adapter ./lora_model --output_dir ./merged",
  rows: {
    ...adapted,
    adapter: needed.adapter,
    output_dir: needed.output_dir,
    overwrite_output_dir: rows.overwrite_output_dir,
    threads,
    config,
  },
});

export const quantizeCommand = command({
  name: "quantize",
  summary: "Write the base model with its linears in 4 or 8 bits, as bitsandbytes and transformers save it",
  example: "lowrank quantize --base_model ./SmolLM2-135M --output_dir ./SmolLM2-135M-nf4",
  rows: {
    ...model,
    ...quantized,
    use_4bit: { ...rows.use_4bit, help: "store the linears in 4 bits (nf4 or fp4), the default" },
    output_dir: { ...needed.output_dir, help: "folder for the quantised model" },
    overwrite_output_dir: rows.overwrite_output_dir,
    threads,
    config,
  },
});

export const inspectCommand = command({
  name: "inspect",
  summary: "What a model is, and the memory that training would need; or what an adapter or a checkpoint is",
  example: "lowrank inspect ./SmolLM2-135M --per_device_train_batch_size 4 --max_seq_length 1024",
  positional: "base_model",
  rows: {
    base_model,
    ...weights,
    lora_r: rows.lora_r,
    target_modules: rows.target_modules,
    max_seq_length: rows.max_seq_length,
    per_device_train_batch_size: rows.per_device_train_batch_size,
    gradient_checkpointing: rows.gradient_checkpointing,
    optim: rows.optim,
    memory_limit: rows.memory_limit,
    json,
    ...run,
  },
});

export const previewCommand = command({
  name: "preview",
  summary: "Texts as tokens, coloured by what is learned, and how long they are",
  example: "lowrank preview --base_model ./SmolLM2-135M --train_file texts.jsonl --max_seq_length 256",
  rows: {
    ...model,
    train_file: rows.train_file,
    ...texts,
    max_seq_length: rows.max_seq_length,
    ...cache,
    num_rows,
    json,
    threads,
    config,
  },
});

export const cacheCommand = command({
  name: "cache",
  summary: "List or clear the tokenised texts that are kept for the next run",
  example: "lowrank cache clear",
  positional: "action",
  rows: { action, cache_dir, json },
});

export const initCommand = command({
  name: "init",
  summary: "Write a commented YAML file with every option of a training run",
  example: "lowrank init run.yaml",
  positional: "file",
  rows: { file },
});

export const schemaCommand = command({
  name: "schema",
  summary: "Print the JSON Schema of that file, for editors and checks",
  example: "lowrank schema > lowrank.schema.json",
  rows: {},
});

export const doctorCommand = command({
  name: "doctor",
  summary: "Whether everything is there that a run needs, and what this machine has",
  example: "lowrank doctor",
  rows: { cache_dir, json },
});

export const completionCommand = command({
  name: "completion",
  summary: "Print a script that completes the command line in a shell",
  example: 'eval "$(lowrank completion bash)"',
  positional: "shell",
  rows: { shell },
});

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  trainCommand,
  generateCommand,
  evalCommand,
  mergeCommand,
  quantizeCommand,
  inspectCommand,
  previewCommand,
  cacheCommand,
  initCommand,
  schemaCommand,
  doctorCommand,
  completionCommand,
];

export type TrainOptions = OptionsOf<typeof trainCommand.rows>;
export type GenerateOptions = OptionsOf<typeof generateCommand.rows>;
export type EvalOptions = OptionsOf<typeof evalCommand.rows>;
export type MergeOptions = OptionsOf<typeof mergeCommand.rows>;
export type QuantizeOptions = OptionsOf<typeof quantizeCommand.rows>;
export type InspectOptions = OptionsOf<typeof inspectCommand.rows>;
export type PreviewOptions = OptionsOf<typeof previewCommand.rows>;
export type CacheOptions = OptionsOf<typeof cacheCommand.rows>;
export type InitOptions = OptionsOf<typeof initCommand.rows>;
export type DoctorOptions = OptionsOf<typeof doctorCommand.rows>;
export type CompletionOptions = OptionsOf<typeof completionCommand.rows>;
