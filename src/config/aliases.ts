// Other trainers' names of our options: the Trainer of transformers, TRL, PEFT, Axolotl, Unsloth, LLaMA-Factory.
import type { OptionRow, Rows } from "./row.js";

/** Other names of options, with the same values and the same meaning: accepted wherever the option's own name is. */
export const aliases = {
  model: "base_model",
  model_name: "base_model",
  model_name_or_path: "base_model",
  pretrained_model_name_or_path: "base_model",
  base_model_name_or_path: "base_model",
  model_revision: "revision",
  tokenizer: "tokenizer_name",
  tokenizer_path: "tokenizer_name",
  load_in_4bit: "use_4bit",
  bnb_4bit_quant_type: "quant_type",
  bnb_4bit_use_double_quant: "double_quant",
  use_bnb_nested_quant: "double_quant",

  r: "lora_r",
  rank: "lora_r",
  lora_rank: "lora_r",
  alpha: "lora_alpha",
  lora_target_modules: "target_modules",

  dataset_config: "dataset_config_name",
  dataset_train_split: "dataset_split",
  dataset_test_split: "dataset_validation_split",
  train_files: "train_file",
  training_file: "train_file",
  val_file: "validation_file",
  valid_file: "validation_file",
  eval_file: "validation_file",
  validation_files: "validation_file",
  text_field: "text_column",
  dataset_text_field: "text_column",
  chat_template_path: "chat_template",
  max_length: "max_seq_length",
  max_seq_len: "max_seq_length",
  max_sequence_length: "max_seq_length",
  sequence_len: "max_seq_length",
  cutoff_len: "max_seq_length",
  sample_packing: "packing",
  add_eos_token: "add_eos",

  nproc: "nproc_per_node",
  num_processes: "nproc_per_node",

  epochs: "num_train_epochs",
  num_epochs: "num_train_epochs",
  num_steps: "max_steps",
  max_train_steps: "max_steps",
  micro_batch_size: "per_device_train_batch_size",
  per_gpu_train_batch_size: "per_device_train_batch_size",
  grad_accum: "gradient_accumulation_steps",
  grad_accum_steps: "gradient_accumulation_steps",
  gradient_accumulation: "gradient_accumulation_steps",
  optimizer: "optim",
  lr: "learning_rate",
  lr_scheduler_type: "lr_scheduler",
  wd: "weight_decay",
  max_norm: "max_grad_norm",
  gradient_clipping: "max_grad_norm",
  use_gradient_checkpointing: "gradient_checkpointing",
  activation_checkpointing: "gradient_checkpointing",
  random_seed: "seed",
  random_state: "seed",

  output: "output_dir",
  output_path: "output_dir",
  resume_from_checkpoint: "resume",
  wandb_run_name: "run_name",
  wandb_name: "run_name",
  evaluation_strategy: "eval_strategy",
  eval_batch_size: "per_device_eval_batch_size",
  per_gpu_eval_batch_size: "per_device_eval_batch_size",
  num_threads: "threads",
} as const satisfies Record<string, string>;

/** The option that a name means, its own or another trainer's. */
export function canonical(name: string): string {
  return Object.hasOwn(aliases, name) ? aliases[name as keyof typeof aliases] : name;
}

/** Other names of an option. */
export function otherNames(option: string): string[] {
  return Object.entries(aliases).flatMap(([name, meant]) => (meant === option ? [name] : []));
}

/** The option of that name, or with that other name. */
export function findRow(rows: Rows, name: string): { key: string; row: OptionRow } | undefined {
  const key = canonical(name);
  return Object.hasOwn(rows, key) ? { key, row: rows[key]! } : undefined;
}

/**
 * Names with a similar, but not the same meaning: the option to use instead. `{option}` and `{option=value}` are spelled as
 * the user spells options.
 */
export const HINTS: Record<string, string> = {
  bf16: "use {precision=bf16}",
  fp16: "use {precision=fp16}",
  fp32: "use {precision=fp32}",
  tf32: "products are in f32 with {precision=fp32}",
  dtype: "use {precision}: auto, fp32, bf16 or fp16",
  torch_dtype: "use {precision}: auto, fp32, bf16 or fp16",
  mixed_precision: "use {precision}: auto, fp32, bf16 or fp16",
  load_in_8bit: "use {use_8bit}, with {quant_type=llm_int8} for bitsandbytes' arithmetic (LLM.int8)",
  bits: "use {use_4bit} or {use_8bit}",
  quantization_bit: "use {use_4bit} or {use_8bit}",
  qlora: "use {use_4bit}",
  token: "set the environment's HF_TOKEN",
  hf_token: "set the environment's HF_TOKEN",
  use_auth_token: "set the environment's HF_TOKEN",
  trust_remote_code: "code of a repository is never run",
  dropout: "use {lora_dropout}",
  peft_type: "every adapter is LoRA",
  task_type: "every adapter is one of a causal language model",
  finetuning_type: "every run trains a LoRA adapter",
  use_peft: "every run trains a LoRA adapter",
  lora_target: "use {target_modules}",
  lora_target_linear: "use {target_modules=all-linear}",
  lora_model_dir: "use {init_adapter} to start from an adapter",
  adapter_name_or_path: "use {init_adapter} to start training from an adapter, {adapter} to use one",
  dataset: "use {dataset_name} for a name of the hub, {train_file} for files",
  datasets: "use {dataset_name} for a name of the hub, {train_file} and {validation_file} for files",
  data: "use {train_file}",
  data_path: "use {train_file}",
  train_data: "use {train_file}",
  train_dataset: "use {train_file}",
  eval_dataset: "use {validation_file}",
  val_set_size: "use {validation_file}; without it a tenth of the training texts is held out",
  test_size: "use {validation_file}; without it a tenth of the training texts is held out",
  validation_split_percentage: "use {validation_file}; without it a tenth of the training texts is held out",
  assistant_only_loss: "use {loss_on=assistant}, the default of conversations",
  completion_only_loss: "use {loss_on=completions}, the default of prompts with completions",
  train_on_inputs: "use {loss_on=all}",
  train_on_prompt: "use {loss_on=all}",
  mask_history: "use {loss_on=last}",
  dataset_type: "use {data_format}",
  formatting: "use {data_format}",
  template: "use {chat_template}",
  batch_size:
    "use {per_device_train_batch_size} for the texts of a micro-batch; a step has {gradient_accumulation_steps} of them",
  train_batch_size:
    "use {per_device_train_batch_size} for the texts of a micro-batch; a step has {gradient_accumulation_steps} of them",
  warmup: "use {warmup_steps} or {warmup_ratio}",
  steps: "use {max_steps}",
  evals_per_epoch: "use {eval_strategy=epoch}, or {eval_steps}",
  saves_per_epoch: "use {save_strategy=epoch}, or {save_steps}",
  logging_dir: "metrics.jsonl, train.log and event files are in {output_dir}",
  save_dir: "use {output_dir}",
  checkpoint: "use {resume}",
  auto_resume_from_checkpoints: "use {resume=auto}",
  adam_epsilon: "AdamW's epsilon is 1e-8",
  adam_beta1: "AdamW's beta1 is 0.9",
  adam_beta2: "AdamW's beta2 is 0.999",
  dataloader_num_workers: "texts are tokenised before the first step; {threads} sets the threads",
  num_workers: "use {threads}",
  max_tokens: "use {max_new_tokens}",
  nnodes: "use {hosts}, which names the machines",
  node_rank: "use {hosts} on one machine, which starts the ranks of all",
  master_addr: "use {hosts} on one machine, which starts the ranks of all",
  rdzv_endpoint: "use {hosts} on one machine, which starts the ranks of all",
  hostfile: "use {hosts}",
  num_machines: "use {hosts}, which names the machines",
};

/** @param spelled how the user writes an option, with a value or without */
export function hintFor(name: string, spelled: (option: string, value?: string) => string): string | undefined {
  if (!Object.hasOwn(HINTS, name)) return undefined;
  return HINTS[name]!.replace(/\{(\w+)(?:=([^}]*))?\}/g, (_, option: string, value?: string) => spelled(option, value));
}
