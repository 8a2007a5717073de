// The one table of options, in four parts by the subject of the options. Commands and the library take whole parts or single
// rows (commands.ts, src/library/arguments.ts). Each row says whether it decides the bits of a run. The settings that a run
// that goes on must agree in follow from it (src/setup/run/identity.ts).
import {
  choice,
  choices,
  date,
  flag,
  integer,
  integers,
  integersOrByName,
  nameList,
  needing,
  number,
  numbers,
  numbersByName,
  type Rows,
  section,
  size,
  text,
  textLike,
  textOrBare,
  texts,
} from "./row.js";

const MODEL = section("Model");
const LORA = section("LoRA");
const DATA = section("Data");
const TRAINING = section("Training");
const OUTPUT = section("Logging, evaluation and saving");
const RUN = section("Run");
const GENERATION = section("Generation");
/** Groups in the order of the help. */
const GROUPS = [MODEL, LORA, DATA, TRAINING, OUTPUT, RUN, GENERATION].map(({ bits }) => bits.group);

/** Largest seed: the native generator takes 64 bits, a JSON number holds 53. */
const LARGEST_SEED = Number.MAX_SAFE_INTEGER;
/** Seconds of the longest timer that Node.js has: a longer one would be over at once. */
const LONGEST_TIMER_S = Math.floor((2 ** 31 - 1) / 1000);
/** Far above any real setting, and far below a number that would overflow 32-bit offsets into a batch. */
const LARGEST_COUNT = 1 << 20;

const ADAPTER = "an adapter folder or a name of the hub";
const adapter = text(
  ADAPTER,
  MODEL.nothing,
  "PEFT adapter (LoRA) to put on the base: a folder, OWNER/NAME of the hub, or hf://OWNER/NAME/FOLDER where it lies in a folder there",
);
const FILES = "files, folders or patterns";
const validationFile = texts(FILES, DATA.bits, "texts to evaluate on, named as in train_file of lowrank train");

/** Rows whose value a command needs where training does not. */
export const needed = {
  adapter: adapter.required(),
  validation_file: validationFile.requiredUnless("dataset_name"),
  output_dir: text("a folder", OUTPUT.nothing, "folder for the merged model").required(),
  hub_model_id: text(
    "a name of the hub",
    OUTPUT.nothing,
    "repository of the hub to push to: OWNER/NAME, or NAME of the token's user",
  ).required(),
};

/** The names in the Trainer of transformers. The update is the same. Where a GPU would keep the moments does not matter here. */
const OPTIMIZER_NAMES = {
  ...Object.fromEntries(
    ["adamw_torch", "adamw_torch_fused", "adamw_hf", "paged_adamw", "paged_adamw_32bit"].map((name) => [
      name,
      "adamw" as const,
    ]),
  ),
  ...Object.fromEntries(["adamw_bnb_8bit", "paged_adamw_8bit"].map((name) => [name, "adamw_8bit" as const])),
};

/** Rows about the base model and the machine: where a model is opened. */
export const modelRows = {
  base_model: text(
    "a model folder or file, or a name of the hub",
    MODEL.bits,
    "the base model: a folder with config.json and safetensors, a .gguf file, or OWNER/NAME or OWNER/NAME@REVISION of the Hugging Face hub (docs/hub.md)",
  ).required(),
  revision: text(
    "a branch, a tag or a commit",
    MODEL.nothing,
    "branch, tag or commit of base_model on the hub; default main",
  ).optional(),
  tokenizer_name: text(
    "a folder or file, or a name of the hub",
    MODEL.bits,
    "folder or repository of the hub with the tokenizer, if not the base model's own",
  ).optional(),
  precision: choice(
    ["auto", "fp32", "bf16", "fp16"],
    MODEL.bits,
    "number format of products and activations; auto is fp32 for a base stored in f32, else bf16",
  ).or("auto"),
  use_4bit: flag(
    MODEL.bits,
    "store the base's linears in 4 bits (nf4 or fp4), quantised while they are loaded (QLoRA)",
  ).or(false),
  use_8bit: flag(MODEL.bits, "store the base's linears in 8 bits (int8, a scale for each row)").or(false),
  quant_type: choice(
    ["nf4", "fp4", "int8", "llm_int8"],
    MODEL.bits,
    "with use_4bit nf4 (the default) or fp4; with use_8bit int8 (the default) or llm_int8, which also rounds activations to 8 bits, except columns with outliers (LLM.int8)",
  ).optional(),
  double_quant: flag(MODEL.bits, "with use_4bit: quantise the scales of the blocks, too").or(true),
  quantize_skip: texts(
    "names of modules",
    MODEL.bits,
    "modules that are not quantised: comma list, such as down_proj",
  ).optional(),
  quantize_head: flag(
    MODEL.bits,
    "with use_4bit or use_8bit: quantise the head (lm_head), too; not where it is the embedding",
  ).or(false),
  int8_backward: choice(
    ["none", "nearest", "stochastic"],
    MODEL.bits,
    "linears in int8 or llm_int8: round gradients to 8 bits in the backward pass, to the nearest code or to either side by chance; experimental (docs/quantised.md)",
  ).or("none"),
  share_weights: flag(
    MODEL.nothing,
    "share the base's weights with other processes through the page cache; else weights in small pages are copied into large pages for speed, if memory has room",
  ).or(false),
  threads: integer(
    { min: 1, max: 1024 },
    RUN.nothing,
    "worker threads, at most the number of processors; default one for each core (hyper-threads of a core count as one), as far as a container's limit allows",
  ).optional(),
  device: textLike(
    /^(auto|cpu|cuda(:\d{1,3})?)$/,
    "auto, cpu, cuda or cuda:N",
    RUN.nothing,
    "where the model is computed: cpu, cuda (the first NVIDIA GPU; the ranks of a machine have its GPUs in turn) or cuda:N; auto is the first GPU that lowrank devices finds, else cpu (docs/cuda.md)",
  ).or("auto"),
};

/** Rows about a training run, wherever it is started. */
export const trainRows = {
  task: choice(
    ["causal-lm", "seq-cls"],
    MODEL.bits,
    "the task: to go on with texts (causal-lm), or to classify texts by a column of labels (seq-cls, docs/classification.md)",
  ).or("causal-lm"),
  lora_r: integer({ min: 1, max: 65536 }, LORA.adapter, "rank of the adapter").or(8),
  lora_alpha: number({ above: 0 }, LORA.adapter, "scale: the adapter's output is multiplied by alpha / r").or(16),
  lora_dropout: number({ min: 0, below: 1 }, LORA.adapter, "dropout of the adapter's input while training").or(0.05),
  target_modules: nameList(
    "names, all-linear or a regular expression",
    LORA.adapter,
    "modules that get an adapter: comma list (in YAML also a list), all-linear or a regular expression of whole names; default by the model's family, as docs/base-models.md and inspect tell",
  ).optional(),
  exclude_modules: nameList(
    "names or a regular expression",
    LORA.adapter,
    "modules of target_modules that get no adapter after all: comma list (in YAML also a list) or a regular expression of whole names",
  ).optional(),
  layers_to_transform: integers(
    { min: 0 },
    LORA.adapter,
    "layers that get adapters, from 0 on: comma list (in YAML also a list); default all",
  ).optional(),
  layers_pattern: texts(
    "names",
    LORA.adapter,
    "with layers_to_transform: the name before a layer's number, such as layers; default the first number of a module's name",
  ).optional(),
  rank_pattern: numbersByName(
    { min: 1, max: 65536, whole: true },
    LORA.adapter,
    "ranks of single modules in place of lora_r, by regular expressions of the end of their names; the first that matches counts",
  ).optional(),
  alpha_pattern: numbersByName(
    { above: 0 },
    LORA.adapter,
    "alphas of single modules in place of lora_alpha, named as in rank_pattern",
  ).optional(),
  use_rslora: flag(LORA.adapter, "scale by alpha / sqrt(r) instead").or(false),
  use_dora: flag(LORA.adapter, "DoRA: the magnitude of each output trains apart from its direction").or(false),
  lora_bias: flag(LORA.adapter, "a bias of each adapter's B trains, too").or(false),
  modules_to_save: texts(
    "names",
    LORA.adapter,
    "the embedding and the head, by their names such as embed_tokens and lm_head: they train whole beside the adapter, which holds copies of them; comma list (in YAML also a list)",
  ).optional(),
  trainable_token_indices: integersOrByName(
    { min: 0 },
    LORA.adapter,
    'ids of tokens whose rows of the embedding train beside the adapter; a head that is the embedding shares them: comma list, or lists by module such as {"embed_tokens": [5, 7], "lm_head": [7]} (in YAML also a list or a map)',
  ).optional(),
  use_lora_fa: flag(LORA.adapter, "LoRA-FA: A stays as it begins, and B alone trains").or(false),
  init_lora_weights: textLike(
    /^(pissa|pissa_niter_\d{1,4}|olora)$/,
    "pissa, pissa_niter_N or olora",
    LORA.adapter,
    "pissa, pissa_niter_N, olora: the adapter begins as a part of the base's weights, which is taken away from them (PiSSA, OLoRA); default A random and B zero",
  ).optional(),
  init_adapter: text(ADAPTER, LORA.bits, "adapter to start from; it decides r, alpha and modules").optional(),
  train_file: texts(
    FILES,
    DATA.bits,
    "texts to train on: comma list (in YAML also a list) of .jsonl, .ndjson, .json, .csv, .tsv, .txt, .md (all also .gz), .parquet and .arrow files, other extensions of these formats (docs/data.md), folders of such files and patterns with *, ? and **",
  ).requiredUnless("dataset_name"),
  validation_file: {
    ...validationFile.optional(),
    help: "texts to evaluate on; without it the validation split of the folder trained on, else a tenth of the training texts",
  },
  dataset_name: text(
    "a name of the hub or a folder",
    DATA.nothing,
    "data set, in place of train_file: OWNER/NAME or OWNER/NAME@REVISION of the hub, or a folder (docs/hub.md)",
  ).optional(),
  dataset_config_name: text(
    "a configuration's name",
    DATA.nothing,
    "configuration (subset) of dataset_name; default the configuration that its card names as default",
  ).optional(),
  dataset_split: text(
    "a split or parts of splits",
    DATA.nothing,
    "split of dataset_name to train on, or parts as datasets writes them: train[:10%], train[100:200]+validation; default train",
  ).optional(),
  dataset_validation_split: text(
    "a split or parts of splits",
    DATA.nothing,
    "split or parts of dataset_name to evaluate on, unless validation_file is given; default validation, where there is one",
  ).optional(),
  data_format: choice(
    ["auto", "text", "messages", "sharegpt", "alpaca", "prompt_completion"],
    DATA.bits,
    "form of the rows, by their columns: text, conversations (messages with role and content; sharegpt with from and value), alpaca (instruction, input, output) or prompt_completion; auto looks at the first row (docs/data.md)",
  ).or("auto"),
  text_column: text(
    "a column's name",
    DATA.bits,
    "column or key of the text (default text), or of the conversation with data_format messages or sharegpt; if given, auto is text",
  ).optional(),
  text_pair_column: text(
    "a column's name",
    DATA.bits,
    "with task seq-cls: column of the second text of pairs; sentence1 with sentence2 and premise with hypothesis are known",
  ).optional(),
  label_column: text(
    "a column's name",
    DATA.bits,
    "with task seq-cls: column of the labels (names, numbers or lists); default label or labels",
  ).optional(),
  problem_type: choice(
    ["single_label_classification", "regression", "multi_label_classification"],
    DATA.bits,
    "with task seq-cls: one class a text, a number, or several labels; default by the labels: numbers that are not whole are a regression, lists several labels",
  ).optional(),
  truncation_side: choice(
    ["left", "right"],
    DATA.bits,
    "with task seq-cls: side that is cut off texts of more than max_seq_length tokens; default the tokenizer's",
  ).optional(),
  chat_template: text(
    "a file or a template's name",
    DATA.bits,
    "Jinja template of conversations: a file, or the name of one of the tokenizer's; default the tokenizer's own",
  ).optional(),
  template_date: date(
    DATA.bits,
    "the date that a chat template is told which asks for the time (strftime_now); default today",
  ).optional(),
  loss_on: choice(
    ["all", "completions", "assistant", "last"],
    DATA.bits,
    "which tokens of a row are learned: completions (default of prompt_completion and alpaca), each turn of the assistant (default of messages and sharegpt), its last turn, or all (default of text)",
  ).optional(),
  text_by: choice(
    ["line", "paragraph", "file"],
    DATA.bits,
    "unit of a text in .txt and .md files; default file for .md, line for .txt",
  ).optional(),
  json_field: text("a key", DATA.bits, "JSON: key of the rows, where a file is one object").optional(),
  csv_separator: choice(
    ["comma", "semicolon", "tab", "pipe"],
    DATA.bits,
    "separator of fields; default comma for .csv, tab for .tsv",
  ).optional(),
  csv_quoting: choice(
    ["minimal", "none"],
    DATA.bits,
    "CSV and TSV: none reads quotes as ordinary characters, as in many .tsv files; otherwise a quote opens a field",
  ).optional(),
  max_seq_length: integer({ min: 2, max: LARGEST_COUNT }, DATA.bits, "longest example in tokens, see long_text").or(
    512,
  ),
  pad_to_max_length: flag(DATA.bits, "pad every text to max_seq_length, not just to the end of the text").or(false),
  long_text: choice(
    ["truncate", "chunk"],
    DATA.bits,
    "texts of more than max_seq_length tokens lose their end, or become several examples",
  ).or("truncate"),
  add_eos: flag(
    DATA.bits,
    "end each text with the tokenizer's end token (eos_token), where it does not end with it already, so that the model learns to stop; an end that max_seq_length cuts off is not put back",
  ).or(true),
  packing: flag(DATA.bits, "fill each item of a batch with several short texts; they do not see each other").or(false),
  group_by_length: flag(DATA.bits, "texts of similar length in a step").or(false),
  cache_dir: text(
    "a folder",
    DATA.nothing,
    "folder for tokenised texts; default ~/.cache/lowrank or $XDG_CACHE_HOME/lowrank",
  ).optional(),
  cache_limit_gb: number(
    { min: 0 },
    DATA.nothing,
    "largest size of cache_dir in GB; the files used longest ago are removed",
  ).or(20),
  shuffle: flag(DATA.bits, "another order of the texts in each epoch; --no-shuffle is the file's order").or(true),
  num_train_epochs: number({ above: 0 }, TRAINING.nothing, "times through the training texts").or(3),
  max_steps: integer({ min: 1 }, TRAINING.nothing, "optimizer steps, instead of num_train_epochs").optional(),
  per_device_train_batch_size: integer({ min: 1, max: LARGEST_COUNT }, TRAINING.adapter, "texts of a micro-batch").or(
    8,
  ),
  gradient_accumulation_steps: integer({ min: 1, max: LARGEST_COUNT }, TRAINING.adapter, "micro-batches of a step").or(
    1,
  ),
  optim: choice(
    ["adamw", "adamw_8bit"],
    TRAINING.bits,
    "optimizer; adamw_8bit keeps the moments of tensors with at least 4,096 elements in 8 bits, as bitsandbytes does",
    OPTIMIZER_NAMES,
  ).or("adamw"),
  learning_rate: number({ min: 0 }, TRAINING.adapter, "peak learning rate of AdamW").or(3e-4),
  loraplus_lr_ratio: number(
    { above: 0 },
    TRAINING.adapter,
    "LoRA+: learning rate of B, biases and magnitudes, in multiples of learning_rate, which is A's; default 1",
  ).optional(),
  base_dropout: flag(
    TRAINING.adapter,
    "dropouts of the base while training, by its config.json as in transformers; false: none",
  ).or(true),
  neftune_noise_alpha: number(
    { above: 0 },
    TRAINING.adapter,
    "NEFTune: noise on the embeddings while training, of this size over the root of tokens times hidden size; default none",
  ).optional(),
  lr_scheduler: choice(["linear", "cosine", "constant"], TRAINING.adapter, "course of the learning rate after warmup", {
    constant_with_warmup: "constant",
  }).or("linear"),
  warmup_ratio: number({ min: 0, max: 1 }, TRAINING.adapter, "share of the steps in which the learning rate rises").or(
    0.03,
  ),
  warmup_steps: integer({ min: 0 }, TRAINING.adapter, "warmup steps, instead of warmup_ratio").optional(),
  weight_decay: number({ min: 0 }, TRAINING.adapter, "decoupled weight decay of AdamW").or(0),
  max_grad_norm: number({ min: 0 }, TRAINING.adapter, "clip the gradient to this norm; 0 does not clip").or(1),
  loss_scale: number({ above: 0, max: 1e30 }, TRAINING.bits, "with fp16: the loss scale to begin with").or(65536),
  loss_scale_window: integer(
    { min: 1 },
    TRAINING.bits,
    "with fp16: steps without an overflow after which the loss scale is doubled; an overflow halves it",
  ).or(2000),
  gradient_checkpointing: flag(
    TRAINING.nothing,
    "keep only each block's input and compute the block again in the backward pass: less memory, slower, the same bits",
  ).or(false),
  activation_offloading: flag(
    TRAINING.nothing,
    "on a GPU, with gradient_checkpointing: keep the blocks' inputs in the host's memory; the same bits",
  ).or(false),
  offload_embedding: flag(
    TRAINING.nothing,
    "on a GPU: leave the embedding in the host's memory and upload the rows of each batch's tokens; the same bits; without effect where the head is the embedding",
  ).or(false),
  seed: integer(
    { min: 0, max: LARGEST_SEED },
    TRAINING.adapter,
    "random seed of adapter, dropout, order, split and samples",
  ).or(42),
  output_dir: text("a folder", OUTPUT.nothing, "folder for the adapter, checkpoints, metrics.jsonl and train.log").or(
    "./lora_model",
  ),
  overwrite_output_dir: flag(OUTPUT.nothing, "replace the results of an earlier run in output_dir").or(false),
  resume: textOrBare(
    "latest",
    "a checkpoint folder, auto or nothing",
    OUTPUT.nothing,
    "go on from a checkpoint, bit for bit; alone: from the newest whole one in output_dir; auto: likewise, or from the beginning where there is none",
  ),
  logging_steps: integer({ min: 1 }, OUTPUT.nothing, "steps between two lines of metrics").or(10),
  report_to: choices(
    ["none", "tensorboard", "wandb", "mlflow"],
    OUTPUT.nothing,
    "trackers beside metrics.jsonl, several with commas; tensorboard: event files in output_dir/runs; wandb: Weights & Biases; mlflow: the server of MLFLOW_TRACKING_URI (docs/tracking.md)",
  ).or(["none"]),
  use_wandb: flag(OUTPUT.nothing, "report to Weights & Biases, as report_to wandb does").or(false),
  wandb_project: text("a name", OUTPUT.nothing, "project of W&B; default WANDB_PROJECT, else lowrank").optional(),
  wandb_entity: text(
    "a name",
    OUTPUT.nothing,
    "user or team of W&B; default WANDB_ENTITY, else the default of the API key's user",
  ).optional(),
  run_name: text(
    "a name",
    OUTPUT.nothing,
    "the run's name in trackers; default WANDB_NAME, else one that W&B makes",
  ).optional(),
  eval_strategy: choice(
    ["steps", "epoch", "no"],
    OUTPUT.nothing,
    "evaluate every eval_steps steps, after each epoch, or never; saved checkpoints are evaluated, too",
  ).or("steps"),
  eval_steps: integer({ min: 1 }, OUTPUT.nothing, "steps between two evaluations").or(100),
  per_device_eval_batch_size: integer(
    { min: 1, max: LARGEST_COUNT },
    OUTPUT.nothing,
    "texts of an evaluation batch",
  ).or(8),
  save_strategy: choice(
    ["steps", "epoch", "no"],
    OUTPUT.nothing,
    "checkpoint every save_steps steps, after each epoch, or never; a run that is stopped always saves one",
  ).or("steps"),
  save_steps: integer({ min: 1 }, OUTPUT.nothing, "steps between two checkpoints").or(1000),
  save_total_limit: integer({ min: 0 }, OUTPUT.nothing, "checkpoints kept, the best always among them; 0 keeps all").or(
    3,
  ),
  load_best_model_at_end: flag(
    OUTPUT.nothing,
    "the best checkpoint's adapter is the result, not the last step's; default true where checkpoints are evaluated",
  ).optional(),
  metric_for_best_model: choice(
    ["eval_loss", "eval_perplexity", "eval_accuracy", "eval_f1"],
    OUTPUT.nothing,
    "metric of the best checkpoint and of early stopping; eval_accuracy and eval_f1 with task seq-cls",
    { loss: "eval_loss", perplexity: "eval_perplexity", accuracy: "eval_accuracy", f1: "eval_f1" },
  ).or("eval_loss"),
  early_stopping_patience: integer(
    { min: 1 },
    OUTPUT.nothing,
    "end after this number of evaluations without an improvement; default never",
  ).optional(),
  early_stopping_threshold: needing(
    ["early_stopping_patience"],
    number({ min: 0 }, OUTPUT.nothing, "with early_stopping_patience: a smaller improvement is none").or(0),
  ),
  num_samples: integer(
    { min: 0, max: LARGEST_COUNT },
    OUTPUT.nothing,
    "texts that the trained model writes at the end, after the beginnings of validation texts; 0 for none",
  ).or(3),
  sample_base: flag(OUTPUT.nothing, "write each sample with the base alone, too, to compare").or(false),
  sample_max_new_tokens: integer({ min: 1, max: LARGEST_COUNT }, OUTPUT.nothing, "longest sample in tokens").or(100),
  memory_limit: size(
    RUN.nothing,
    "refuse a plan larger than this, mapped weights included; free memory is always a limit; with a GPU, of its memory, also of a GPU that is not there",
  ).optional(),
};

/** Rows about uploads to the hub. */
export const hubRows = {
  hub_model_id: text(
    "a name of the hub",
    OUTPUT.nothing,
    "repository of the hub to push to: OWNER/NAME, or NAME of the token's user; default the name of output_dir",
  ).optional(),
  hub_private_repo: flag(
    OUTPUT.nothing,
    "make the repository private; default as its owner's settings say, which is public in general",
  ).optional(),
  hub_token: {
    ...text(
      "a token",
      OUTPUT.nothing,
      "token of the hub to push with, in place of HF_TOKEN and the token file",
    ).optional(),
    secret: true,
  },
};

/** Rows about a training run that is started at a terminal. */
export const terminalRows = {
  push_to_hub: flag(OUTPUT.nothing, "push the adapter to the hub after training (docs/hub.md)").or(false),
  ...hubRows,
  merge: flag(OUTPUT.nothing, "write the merged model to OUTPUT_merged; if not given, a terminal is asked").optional(),
  config: text(
    "a YAML file",
    RUN.nothing,
    "file with options, in the names of this list; flags override it",
  ).optional(),
  nproc_per_node: integer(
    { min: 1, max: 1024 },
    RUN.nothing,
    "train on this number of ranks on each machine, which Open MPI's mpirun starts (docs/distributed.md); without it and --hosts in one process",
  ).optional(),
  hosts: texts(
    "HOST or HOST:RANKS, several with commas",
    RUN.nothing,
    "machines of the ranks: a:4,b:4; without a number nproc_per_node ranks; default this machine",
  ).optional(),
  max_restarts: needing(
    ["nproc_per_node", "hosts"],
    integer(
      { min: 0 },
      RUN.nothing,
      "with nproc_per_node or hosts: starts after a rank was lost, each from the last checkpoint",
    ).or(0),
  ),
  ddp_timeout: integer(
    { min: 1, max: LONGEST_TIMER_S },
    RUN.nothing,
    "with several ranks: seconds for which ranks wait for one that does not answer, before all end",
  ).or(1800),
  profile: flag(RUN.nothing, "print the time of every operation and write OUTPUT/profile.json, a Chrome trace").or(
    false,
  ),
  dashboard: flag(
    RUN.nothing,
    "show the run as a live page of this machine, with pause, stop and samples (docs/report.md); the terminal tells its address",
  ).or(false),
  dashboard_runs: needing(
    ["dashboard"],
    texts(
      "folders",
      RUN.nothing,
      "with dashboard: output folders of other runs, shown beside this one on its live page",
    ).optional(),
  ),
  dry_run: flag(RUN.nothing, "print texts, steps, memory and the estimated time, and stop").or(false),
  json: flag(RUN.nothing, "print the result as one JSON object").or(false),
};

/** Rows of other commands alone. */
const otherRows = {
  adapter: adapter.optional(),
  folders: texts("folders", RUN.nothing, "output folders of training runs").required(),
  format: choice(
    ["gguf-adapter", "gguf"],
    OUTPUT.nothing,
    "gguf-adapter: the adapter alone, for llama.cpp beside its base; gguf: the base with the adapter merged",
  ).or("gguf-adapter"),
  merge_onto: choice(
    ["stored", "trained"],
    OUTPUT.nothing,
    "stored: onto the base's weights as the folder has them; trained: onto the weights that were trained on, quantised as use_4bit or use_8bit say or as the folder has them, and decoded",
  ).or("stored"),
  outtype: choice(
    ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k"],
    OUTPUT.nothing,
    "how numbers are stored, as in llama.cpp's convert_hf_to_gguf.py; default f32 for an adapter, else the base's",
  ).optional(),
  output_file: text("a file's name", OUTPUT.nothing, "the file to write").required(),
  shell: choice(["bash", "zsh", "fish"], RUN.nothing, "the shell to complete in").required(),
  file: text("a file's name", RUN.nothing, "the file to write").or("lowrank.yaml"),
  compare_with: text(ADAPTER, RUN.nothing, "another adapter, to compare the directions of the updates with").optional(),
  intruder_directions: integer(
    { min: 1, max: 1024 },
    RUN.nothing,
    "with base_model: of this many leading singular vectors of each tuned weight, how many are like no singular vector of the base (docs/ranks.md); such as 10; takes seconds a module",
  ).optional(),
  intruder_threshold: needing(
    ["intruder_directions"],
    number(
      { min: 0, max: 1 },
      RUN.nothing,
      "the largest |cosine| to the base's singular vectors below which a direction is an intruder",
    ).or(0.5),
  ),
  picture: text("a file's name", RUN.nothing, "write a heat map of layers and modules to this file, as SVG").optional(),
  adapters: texts(
    "folders or names of the hub",
    RUN.nothing,
    "adapters to combine: comma list (in YAML also a list)",
  ).required(),
  weights: numbers({}, RUN.nothing, "weight of each adapter, also below 0; default the same, 1 in all").optional(),
  combination_type: choice(
    ["svd", "cat", "linear", "ties", "magnitude_prune", "dare_linear", "dare_ties"],
    RUN.nothing,
    "as PEFT's add_weighted_adapter; svd and cat give the weighted sum of the updates, the others combine the factors",
  ).or("svd"),
  svd_rank: integer({ min: 1, max: 65536 }, RUN.nothing, "rank of svd; default the largest of the adapters").optional(),
  density: number({ above: 0, max: 1 }, RUN.nothing, "share of elements that ties, magnitude_prune and dare keep").or(
    0.5,
  ),
  majority_sign_method: choice(
    ["total", "frequency"],
    RUN.nothing,
    "sign that ties keeps: of the sum, or of more elements",
  ).or("total"),
  ranks: integers(
    { min: 1, max: 65536 },
    LORA.nothing,
    "ranks to train side by side, one adapter each: comma list (in YAML also a list)",
  ).optional(),
  grid: text(
    "a YAML file",
    LORA.nothing,
    "in place of ranks: lists of values by option, for every combination of them, or a list with the options of each adapter (docs/ranks.md)",
  ).optional(),
  stopping_rule: choice(
    ["none", "successive_halving", "median"],
    OUTPUT.nothing,
    "rule that stops adapters early: successive_halving keeps one of each reduction_factor after grace_evaluations, and again after reduction_factor times as many; median stops, at each evaluation, adapters whose best is worse than the median of the others' means",
  ).or("none"),
  reduction_factor: integer(
    { min: 2 },
    OUTPUT.nothing,
    "with successive_halving: of this number of adapters one goes on",
  ).or(2),
  grace_evaluations: integer(
    { min: 1 },
    OUTPUT.nothing,
    "evaluations of an adapter before stopping_rule may stop it",
  ).or(1),
  max_rank: integer({ min: 1, max: 65536 }, RUN.nothing, "rank of every module, at most").optional(),
  energy: number(
    { above: 0, max: 1 },
    RUN.nothing,
    "smallest ranks that hold this share of each update's energy",
  ).optional(),
  max_size: size(RUN.nothing, "bytes of the factors at most; modules that need more ranks get more").optional(),
  num_rows: integer({ min: 0, max: LARGEST_COUNT }, RUN.nothing, "texts to show").or(3),
  action: choice(["ls", "clear"], RUN.nothing, "list the cache's files, or remove them").or("ls"),
  text: text(
    "a text",
    DATA.nothing,
    "the text to classify; without text and input_file, each line of standard input",
  ).optional(),
  text_pair: text("a text", DATA.nothing, "the second text of a pair").optional(),
  input_file: texts(FILES, DATA.nothing, "texts to classify, named as in train_file of lowrank train").optional(),
  prompt: text("a text", GENERATION.nothing, "text to go on from; - reads standard input").optional(),
  max_new_tokens: integer({ min: 1, max: LARGEST_COUNT }, GENERATION.nothing, "longest continuation in tokens").or(100),
  temperature: number({ min: 0 }, GENERATION.nothing, "0 always takes the likeliest token").or(0.7),
  top_k: integer({ min: 0 }, GENERATION.nothing, "choose among this number of likeliest tokens; 0 among all").or(0),
  top_p: number({ above: 0, max: 1 }, GENERATION.nothing, "choose among the likeliest tokens of this share").or(1),
};

/** The whole table. */
export const rows = { ...modelRows, ...trainRows, ...terminalRows, ...otherRows };

/** Rows of several tables, group by group. */
export function inOrder<R extends Rows>(some: R): R {
  const entries = Object.entries(some);
  return Object.fromEntries(GROUPS.flatMap((group) => entries.filter(([, row]) => row.group === group))) as R;
}
