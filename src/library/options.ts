// Options of the library: every row of a run.

import { LowrankError } from "../base/errors.js";
import {
  type aliases,
  type Command,
  type OptionsOf,
  optional,
  optionsFrom,
  terminalRows,
  trainRows,
} from "../config/index.js";
import type { RunOptions } from "../setup/run/options.js";
import { items, on_download, signal, yesOrNo } from "./arguments.js";
import type { DownloadOptions } from "./download.js";
import { type GivenItems, givenItems, type Items } from "./items.js";

const command = {
  name: "Trainer.create",
  summary: "",
  example: "",
  rows: {
    ...trainRows,
    train_file: optional(trainRows.train_file),
    output_dir: optional(trainRows.output_dir),
    ddp_timeout: terminalRows.ddp_timeout,
    train: items(", or files in train_file"),
    validation: items(", or files in validation_file"),
    samples: yesOrNo.or(false),
    signal,
    on_download,
  },
} satisfies Command;

type Values = OptionsOf<typeof command.rows>;
/** Values as they may be given. */
type Given = Omit<
  Values,
  | "target_modules"
  | "exclude_modules"
  | "layers_to_transform"
  | "layers_pattern"
  | "modules_to_save"
  | "trainable_token_indices"
  | "report_to"
  | "train_file"
  | "validation_file"
  | "memory_limit"
  | "resume"
> & {
  target_modules: string | string[] | undefined;
  exclude_modules: string | string[] | undefined;
  layers_to_transform: number | number[] | undefined;
  layers_pattern: string | string[] | undefined;
  modules_to_save: string | string[] | undefined;
  trainable_token_indices: string | number | number[] | Record<string, number[]> | undefined;
  report_to: Values["report_to"] | Values["report_to"][number] | undefined;
  train_file: string | string[] | undefined;
  validation_file: string | string[] | undefined;
  memory_limit: number | string | undefined;
  resume: string | boolean | undefined;
};

type Aliases = typeof aliases;
/** Other trainers' names of these options. */
type OtherNames = {
  [A in keyof Aliases as Aliases[A] extends keyof Given ? A : never]?: Aliases[A] extends keyof Given
    ? Given[Aliases[A]] | undefined
    : never;
};

/** The options of `lowrank train` under the same names and with the same defaults (docs/options.md), all optional. */
export type TrainerOptions = {
  [K in keyof Omit<Given, "train" | "validation" | "samples" | "output_dir" | keyof DownloadOptions>]?:
    | Given[K]
    | undefined;
} & OtherNames &
  DownloadOptions & {
    /** Texts or rows (conversations, instructions, prompts with completions) to train on, instead of `train_file` or `dataset_name`. */
    train?: Items | undefined;
    /** Texts or rows to evaluate on, instead of `validation_file`; without either, the validation split of a folder in `train_file`, else a tenth of the training texts. */
    validation?: Items | undefined;
    /**
     * Whether a run that was not stopped ends with `sample` events: the model's continuations of the beginnings of three validation
     * texts.
     */
    samples?: boolean | undefined;
    /** Without it nothing is written, and `resume`, `report_to` and `use_wandb` are no options. */
    output_dir?: string | undefined;
  };

export interface CheckedOptions {
  options: RunOptions;
  given: ReadonlySet<string>;
  /** Undefined where `dataset_name` is given. */
  train: string[] | GivenItems | undefined;
  validation: string[] | GivenItems | undefined;
  samples: boolean;
  /** Seconds. */
  ddp_timeout: number;
  download: DownloadOptions;
}

/** @throws LowrankError E_ARGUMENT, E_USAGE naming everything that is wrong */
export function checkOptions(object: unknown): CheckedOptions {
  const { options: all, given } = optionsFrom(command, object);
  const { train, validation, samples, ddp_timeout, signal, on_download, ...options } = all;
  const wrong: [string, string][] = [];
  const one = (texts: Items | undefined, files: string[] | undefined, name: string) => {
    if (texts !== undefined && files !== undefined)
      wrong.push([name, `${name} and ${name}_file are both given, expected one of them`]);
    if (texts === undefined) return files;
    // Rows with labels are no plain texts, whatever the first looks like.
    return options.task === "seq-cls" ? { items: texts, name } : givenItems(texts, name, options);
  };
  const from = one(train, options.train_file, "train");
  const held = one(validation, options.validation_file, "validation");
  if (from === undefined && options.dataset_name === undefined)
    wrong.push(["train", "train: missing; expected texts, files in train_file, or dataset_name"]);
  if (from !== undefined && options.dataset_name !== undefined)
    wrong.push(["dataset_name", "dataset_name is given beside train or train_file, expected one of them"]);
  if (options.output_dir === undefined && options.resume !== undefined)
    wrong.push(["resume", "resume: expected output_dir beside it"]);
  const trackers = options.use_wandb ? "use_wandb" : "report_to";
  const reports = options.use_wandb || options.report_to.some((name) => name !== "none");
  if (options.output_dir === undefined && reports && given.has(trackers))
    wrong.push([trackers, `${trackers}: expected output_dir beside it`]);
  if (wrong.length > 0) throw new LowrankError("E_USAGE", wrong.map(([, line]) => line).join("; "), wrong[0]![0]);
  return {
    options,
    given,
    train: from,
    validation: held,
    samples,
    ddp_timeout,
    download: { signal, on_download },
  };
}
