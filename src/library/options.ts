// Options of the library: every row of a run.

import { LowrankError } from "../base/errors.js";
import {
  type aliases,
  type Command,
  messageOf,
  type OptionsOf,
  optional,
  optionsFrom,
  shownValue,
  trainRows,
} from "../config/index.js";
import { givenTexts, type TextSource } from "../data/index.js";
import type { RunOptions } from "../setup/run/options.js";
import { on_download, signal, type Texts, texts, yesOrNo } from "./arguments.js";
import type { DownloadOptions } from "./download.js";

const command = {
  name: "Trainer.create",
  summary: "",
  example: "",
  rows: {
    ...trainRows,
    train_file: optional(trainRows.train_file),
    output_dir: optional(trainRows.output_dir),
    train: texts(", or files in train_file"),
    validation: texts(", or files in validation_file"),
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
    /** Texts to train on, instead of `train_file` or `dataset_name`. */
    train?: Texts | undefined;
    /** Texts to evaluate on, instead of `validation_file`; without either, the validation split of a folder in `train_file`, else a tenth of the training texts. */
    validation?: Texts | undefined;
    /**
     * Whether a run that was not stopped ends with `sample` events: the model's continuations of the beginnings of three validation
     * texts.
     */
    samples?: boolean | undefined;
    /** Without it nothing is written, and `resume` is no option. */
    output_dir?: string | undefined;
  };

/** @param row its number, from 1. @throws LowrankError E_DATA_ROW */
function textOf(item: unknown, name: string, row: number): string {
  const text: unknown = typeof item === "object" && item !== null ? (item as { text?: unknown }).text : item;
  if (typeof text === "string") return text;
  const found = `text ${row} is ${shownValue(text)}`;
  throw new LowrankError("E_DATA_ROW", `${name}: ${found}, expected a string or { text: string }.`, name);
}

const noTexts = (name: string) => new LowrankError("E_DATA_EMPTY", `${name}: there are no texts.`, name);

/** The exception of the caller's iterable. */
function stopped(error: unknown, name: string, row: number): LowrankError {
  if (error instanceof LowrankError) return error;
  const message = `${name}: reading stopped after ${row} texts: ${messageOf(error)}.`;
  return new LowrankError("E_DATA_ROW", message, name, { cause: error });
}

/** Each text, checked as it comes. @throws LowrankError E_DATA_ROW, E_DATA_EMPTY */
async function* textsOf(texts: Texts, name: string): AsyncGenerator<string> {
  let row = 0;
  try {
    for await (const item of texts) {
      row++;
      yield textOf(item, name, row);
    }
  } catch (error) {
    throw stopped(error, name, row);
  }
  if (row === 0) throw noTexts(name);
}

/**
 * A list is checked here and now, other texts as they come.
 * @param name of the argument, for errors
 * @throws LowrankError E_DATA_ROW, E_DATA_EMPTY
 */
export function textSource(texts: Texts, name: string): TextSource {
  if (Array.isArray(texts)) {
    if (texts.length === 0) throw noTexts(name);
    let row = 0;
    try {
      for (const item of texts) textOf(item, name, ++row);
    } catch (error) {
      throw stopped(error, name, row);
    }
  }
  return givenTexts(textsOf(texts, name));
}

export interface CheckedOptions {
  options: RunOptions;
  given: ReadonlySet<string>;
  /** Undefined where `dataset_name` is given. */
  train: string[] | TextSource | undefined;
  validation: string[] | TextSource | undefined;
  samples: boolean;
  download: DownloadOptions;
}

/** @throws LowrankError E_ARGUMENT, E_USAGE naming everything that is wrong */
export function checkOptions(object: unknown): CheckedOptions {
  const { options: all, given } = optionsFrom(command, object);
  const { train, validation, samples, signal, on_download, ...options } = all;
  const wrong: [string, string][] = [];
  const one = (texts: Texts | undefined, files: string[] | undefined, name: string) => {
    if (texts !== undefined && files !== undefined)
      wrong.push([name, `${name} and ${name}_file are both given, expected one of them`]);
    return texts === undefined ? files : textSource(texts, name);
  };
  const from = one(train, options.train_file, "train");
  const held = one(validation, options.validation_file, "validation");
  if (from === undefined && options.dataset_name === undefined)
    wrong.push(["train", "train: missing; expected texts, files in train_file, or dataset_name"]);
  if (from !== undefined && options.dataset_name !== undefined)
    wrong.push(["dataset_name", "dataset_name is given beside train or train_file, expected one of them"]);
  if (options.output_dir === undefined && options.resume !== undefined)
    wrong.push(["resume", "resume: expected output_dir beside it"]);
  if (wrong.length > 0) throw new LowrankError("E_USAGE", wrong.map(([, line]) => line).join("; "), wrong[0]![0]);
  return {
    options,
    given,
    train: from,
    validation: held,
    samples,
    download: { signal, on_download },
  };
}
