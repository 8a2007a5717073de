import type { OptionsOf, Rows } from "./row.js";
import { beside, needing, optional, without } from "./row.js";
import { inOrder, modelRows, needed, rows, terminalRows, trainRows } from "./rows.js";

/** A command as the user sees it: its purpose, an example and its options. */
export interface Command<R extends Rows = Rows> {
  name: string;
  summary: string;
  example: string;
  /** Options that may also stand without their names, in this order. */
  positionals?: readonly string[];
  /** Whether the last of them takes all words that are left. */
  takesRest?: true;
  /** Whether it trains: a signal asks it to save and end, its results are files, and it tells of options that it ignores. */
  trains?: true;
  rows: R;
}

type Named<T> = { [N in keyof T]: T[N] & { name: N } };

function named<T extends Record<string, Omit<Command, "name">>>(table: T): Named<T> {
  return Object.fromEntries(Object.entries(table).map(([name, about]) => [name, { name, ...about }])) as Named<T>;
}

/** Rows that do nothing without one of other options. */
function allNeeding<R extends Rows>(others: readonly string[], some: R): R {
  return Object.fromEntries(Object.entries(some).map(([name, row]) => [name, needing(others, row)])) as R;
}

const { base_model, revision, tokenizer_name, precision, threads, device, config, seed, json } = rows;
const { use_4bit, use_8bit, quant_type, double_quant, quantize_skip, quantize_head } = rows;
const quantized = { use_4bit, use_8bit, quant_type, double_quant, quantize_skip, quantize_head };
const model = { base_model, revision, tokenizer_name };
/** Rows of commands that take an adapter. */
const adapted = {
  base_model: { ...optional(base_model), help: `${base_model.help}; default: the base that adapter_config.json names` },
  revision,
  tokenizer_name,
};
const run = { precision, threads, device, config };
const weights = { ...quantized, share_weights: rows.share_weights };
const {
  adapter,
  prompt,
  max_new_tokens,
  temperature,
  top_k,
  top_p,
  num_rows,
  compare_with,
  intruder_directions,
  intruder_threshold,
  picture,
  energy,
  max_size,
  max_rank,
  action,
  shell,
  file,
} = rows;
const { adapters, weights: adapterWeights, combination_type, svd_rank, density, majority_sign_method } = rows;
const {
  data_format,
  text_column,
  chat_template,
  template_date,
  loss_on,
  text_by,
  json_field,
  csv_separator,
  csv_quoting,
} = rows;
const texts = {
  data_format,
  text_column,
  chat_template,
  template_date,
  loss_on,
  text_by,
  json_field,
  csv_separator,
  csv_quoting,
};
const { dataset_name, dataset_config_name, dataset_split } = rows;
const { long_text, add_eos, cache_dir, cache_limit_gb } = rows;
const cache = { long_text, add_eos, cache_dir, cache_limit_gb };

/** Texts that a loss is measured on, and the way to it. */
const evaluated = {
  ...weights,
  // The file of a training run may have both: it evaluates on the files.
  validation_file: beside("dataset_name", needed.validation_file),
  dataset_name: { ...dataset_name, help: dataset_name.help.replace("train_file", "validation_file") },
  dataset_config_name,
  dataset_split: {
    ...dataset_split,
    keyInFiles: "dataset_validation_split",
    help: "split of dataset_name to evaluate on; default validation, else test; in a file of options dataset_validation_split, as dataset_split is the training's there",
  },
  ...texts,
  max_seq_length: rows.max_seq_length,
  ...cache,
  per_device_eval_batch_size: rows.per_device_eval_batch_size,
  ...run,
};
const NAMES_OF_TEXTS = ["validation_file", "dataset_name"];

/** Commands that measure a loss where they are given texts. */
const measured = (help: string) => ({
  ...allNeeding(NAMES_OF_TEXTS, { ...adapted, ...evaluated }),
  validation_file: beside("dataset_name", { ...optional(needed.validation_file), help }),
  dataset_name: evaluated.dataset_name,
  ...run,
});

/**
 * Every command, in the order of the help: a command is its entry here, which is known before any of its code is loaded, and
 * `run` in src/commands/NAME.ts.
 */
export const commands = named({
  train: {
    trains: true,
    summary: "Fine-tune a base model on texts and write a LoRA adapter",
    example: "lowrank train --base_model ./SmolLM2-135M --train_file texts.jsonl --output_dir ./lora_model",
    rows: inOrder({
      ...modelRows,
      ...trainRows,
      ...terminalRows,
      json: { ...json, help: "print every event as a line of JSON on standard output" },
    }),
  },

  sweep: {
    trains: true,
    summary: "Train several adapters side by side on one base, such as one for each rank, and name the best",
    example: "lowrank sweep --base_model ./SmolLM2-135M --train_file texts.jsonl --ranks 4,8,16,32",
    rows: inOrder({
      ...modelRows,
      ...without(trainRows, "num_samples", "sample_max_new_tokens", "sample_base"),
      ranks: rows.ranks,
      grid: rows.grid,
      stopping_rule: rows.stopping_rule,
      reduction_factor: rows.reduction_factor,
      grace_evaluations: rows.grace_evaluations,
      output_dir: {
        ...rows.output_dir,
        help: "folder for sweep.json, report.html, sweep.log and a folder for each adapter, as lowrank train writes it",
      },
      resume: {
        ...rows.resume,
        expects: "auto or nothing",
        help: "go on where the adapters were saved last, bit for bit; an adapter without a checkpoint begins anew",
      },
      config,
      dry_run: { ...rows.dry_run, help: "print texts, adapters and memory, and stop" },
      json: { ...json, help: "print every event as a line of JSON on standard output, with the name of its run" },
    }),
  },

  generate: {
    summary: "Go on from a prompt; the text goes to standard output, everything else to standard error",
    example: 'lowrank generate --base_model ./SmolLM2-135M --adapter ./lora_model --prompt "Once upon a time"',
    rows: {
      ...adapted,
      ...quantized,
      adapter,
      prompt,
      input_file: beside("prompt", {
        ...rows.input_file,
        help: "prompts, in place of prompt, a JSON line with the text of each on standard output; files named as in train_file of lowrank train",
      }),
      ...allNeeding(["input_file"], {
        text_column: { ...text_column, help: "column of input_file that holds the prompts; default prompt, else text" },
        text_by,
        json_field,
        csv_separator,
        csv_quoting,
        per_device_eval_batch_size: {
          ...rows.per_device_eval_batch_size,
          help: "prompts of input_file whose texts are written together",
        },
      }),
      ...{ max_new_tokens, temperature, top_k, top_p, seed },
      ...run,
    },
  },

  classify: {
    summary: "Classify texts: a line of JSON with the label and the scores of each, on standard output",
    example: 'lowrank classify ./lora_model --text "We choose to go to the Moon"',
    positionals: ["adapter"],
    rows: {
      adapter: {
        ...adapter,
        help: "adapter of lowrank train --task seq-cls, or a model with a classifier's head: a folder, or OWNER/NAME of the hub",
      },
      ...adapted,
      text: beside("input_file", rows.text),
      text_pair: needing(["text"], rows.text_pair),
      input_file: rows.input_file,
      ...allNeeding(["input_file"], {
        text_column,
        text_pair_column: rows.text_pair_column,
        text_by,
        json_field,
        csv_separator,
        csv_quoting,
      }),
      truncation_side: rows.truncation_side,
      max_seq_length: rows.max_seq_length,
      per_device_eval_batch_size: rows.per_device_eval_batch_size,
      ...quantized,
      ...run,
    },
  },

  eval: {
    summary: "Loss and perplexity on texts, with an adapter or without",
    example: "lowrank eval --base_model ./SmolLM2-135M --adapter ./lora_model --validation_file texts.jsonl",
    rows: {
      ...adapted,
      adapter,
      ...evaluated,
      json,
    },
  },

  merge: {
    summary: "Write the base model with an adapter merged into its weights",
    example: "lowrank merge --base_model ./SmolLM2-135M --adapter ./lora_model --output_dir ./merged",
    rows: {
      ...adapted,
      adapter: needed.adapter,
      merge_onto: rows.merge_onto,
      ...quantized,
      output_dir: needed.output_dir,
      overwrite_output_dir: rows.overwrite_output_dir,
      threads,
      config,
    },
  },

  export: {
    summary: "Write an adapter, or the base with it merged, as a GGUF file for llama.cpp",
    example: "lowrank export ./lora_model --output_file lora.gguf",
    positionals: ["adapter"],
    rows: {
      adapter: needed.adapter,
      format: rows.format,
      outtype: rows.outtype,
      output_file: rows.output_file,
      ...adapted,
      overwrite_output_dir: { ...rows.overwrite_output_dir, help: "replace output_file where there is one" },
      json,
      threads,
      config,
    },
  },

  push: {
    summary: "Push an adapter to the Hugging Face hub, with its tokenizer and model card",
    example: "lowrank push ./lora_model OWNER/NAME --hub_private_repo",
    positionals: ["adapter", "hub_model_id"],
    rows: {
      adapter: { ...needed.adapter, expects: "an adapter folder", help: "folder of the adapter" },
      hub_model_id: needed.hub_model_id,
      hub_private_repo: rows.hub_private_repo,
      hub_token: rows.hub_token,
      base_model: {
        ...optional(base_model),
        expects: "a name of the hub",
        help: "the base's name on the hub, where adapter_config.json names a folder of this machine",
      },
      revision: needing(["base_model"], revision),
      dry_run: { ...rows.dry_run, help: "check token, repository and files, and stop" },
      json,
      config,
    },
  },

  quantize: {
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
  },

  inspect: {
    summary: "Describe a model and the memory of its training, or an adapter or a checkpoint",
    example: "lowrank inspect ./SmolLM2-135M --per_device_train_batch_size 4 --max_seq_length 1024",
    positionals: ["base_model"],
    rows: {
      base_model,
      revision,
      ...weights,
      lora_r: rows.lora_r,
      target_modules: rows.target_modules,
      max_seq_length: rows.max_seq_length,
      per_device_train_batch_size: rows.per_device_train_batch_size,
      gradient_checkpointing: rows.gradient_checkpointing,
      activation_offloading: rows.activation_offloading,
      offload_embedding: rows.offload_embedding,
      optim: rows.optim,
      memory_limit: rows.memory_limit,
      json,
      ...run,
    },
  },

  analyze: {
    summary: "Tell the ranks that the updates of an adapter use, by kind of module",
    example: "lowrank analyze ./lora_model --picture ranks.svg",
    positionals: ["adapter"],
    rows: {
      adapter: needed.adapter,
      compare_with,
      intruder_directions,
      intruder_threshold,
      picture,
      json,
      ...measured("texts to measure the loss on of the adapter cut to smaller ranks"),
      revision: needing(["base_model", ...NAMES_OF_TEXTS], revision),
      base_model: {
        ...optional(base_model),
        help: `${base_model.help}; for the norms of its weights, and for losses; default for losses: the base that adapter_config.json names`,
      },
    },
  },

  compress: {
    summary: "Write an adapter of smaller rank, the nearest to the adapter's updates",
    example: "lowrank compress ./lora_model --energy 0.99 --output_dir ./smaller",
    positionals: ["adapter"],
    rows: {
      adapter: needed.adapter,
      max_rank,
      energy,
      max_size,
      output_dir: { ...needed.output_dir, help: "folder for the adapter" },
      overwrite_output_dir: rows.overwrite_output_dir,
      ...measured("texts to measure the loss on before and after"),
    },
  },

  combine: {
    summary: "Write several adapters as one",
    example: "lowrank combine --adapters ./first,./second --weights 0.7,0.3 --output_dir ./both",
    rows: {
      adapters,
      weights: adapterWeights,
      combination_type,
      svd_rank,
      density,
      majority_sign_method,
      output_dir: { ...needed.output_dir, help: "folder for the adapter" },
      overwrite_output_dir: rows.overwrite_output_dir,
      seed: { ...seed, help: "seed of the elements that dare_linear and dare_ties keep" },
    },
  },

  preview: {
    summary: "Show texts as tokens, the learned ones coloured, and the lengths of texts",
    example: "lowrank preview --base_model ./SmolLM2-135M --train_file texts.jsonl --max_seq_length 256",
    rows: {
      ...model,
      train_file: rows.train_file,
      dataset_name,
      dataset_config_name,
      dataset_split: { ...dataset_split, help: "split of dataset_name to show; default train" },
      ...texts,
      max_seq_length: rows.max_seq_length,
      ...cache,
      num_rows,
      json,
      threads,
      config,
    },
  },

  report: {
    summary: "Write the report of a training run anew, or compare runs side by side",
    example: "lowrank report ./first ./second --output_dir ./compared",
    positionals: ["folders"],
    takesRest: true,
    rows: {
      folders: rows.folders,
      output_dir: {
        ...optional(needed.output_dir),
        help: "folder for report.html and its plots; default the run's own, of several runs ./report",
      },
      json,
    },
  },

  cache: {
    summary: "List or clear the tokenised texts kept for later runs",
    example: "lowrank cache clear",
    positionals: ["action"],
    rows: { action, cache_dir, json },
  },

  init: {
    summary: "Write a commented YAML file with every option of a training run",
    example: "lowrank init run.yaml",
    positionals: ["file"],
    rows: { file },
  },

  schema: {
    summary: "Print the JSON Schema of the configuration file, for editors and checks",
    example: "lowrank schema > lowrank.schema.json",
    rows: {},
  },

  doctor: {
    summary: "Check the requirements of a run, and describe this machine",
    example: "lowrank doctor",
    rows: { cache_dir, json },
  },

  devices: {
    summary: "Print the processors and GPUs that --device can name, or the reason why there are no GPUs",
    example: "lowrank devices",
    rows: { json },
  },

  completion: {
    summary: "Print a script that completes the command line in a shell",
    example: 'eval "$(lowrank completion bash)"',
    positionals: ["shell"],
    rows: { shell },
  },
});

export const commandList: readonly Command[] = Object.values(commands);

/** The validated options of a command. */
export type CommandOptions<N extends keyof typeof commands> = OptionsOf<(typeof commands)[N]["rows"]>;
