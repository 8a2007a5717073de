// Options of the library: the command's rows without those that only a command line has.
import { type aliases, type Command, type OptionsOf, optional, optionsFrom, trainCommand } from "../config/index.js";
import { givenTexts, type TextSource } from "../data/index.js";
import { LowrankError } from "../errors.js";
import type { RunOptions } from "../setup/options.js";

const {
  // Of the model:
  base_model: _,
  tokenizer_name: __,
  use_4bit: _________,
  use_8bit: __________,
  double_quant: ___________,
  quantize_skip: ____________,
  quant_type: ______________,
  quantize_head: _______________,
  share_weights: ________________,
  precision: ___,
  threads: ____,
  // Of a command line:
  config: _____,
  dry_run: ______,
  json: ________,
  merge: _______,
  profile: _____________,
  // Optional here:
  train_file,
  output_dir,
  ...rows
} = trainCommand.rows;

const command = {
  name: "Trainer",
  summary: "",
  example: "",
  rows: { ...rows, train_file: optional(train_file), output_dir: optional(output_dir) },
} satisfies Command;

/** Names in a list are one text there. */
type Rows = Omit<OptionsOf<typeof command.rows>, "target_modules"> & { target_modules: string | string[] | undefined };

type Aliases = typeof aliases;
/** What other trainers call these options. */
type OtherNames = {
  [A in keyof Aliases as Aliases[A] extends keyof Rows ? A : never]?: Aliases[A] extends keyof Rows
    ? Rows[Aliases[A]] | undefined
    : never;
};

/** Texts in memory, or as they come. */
export type Texts = Iterable<string | { text: string }> | AsyncIterable<string | { text: string }>;

/** The options of `lowrank train` under the same names and with the same defaults (docs/options.md), all optional. */
export type TrainerOptions = { [K in keyof Rows]?: Rows[K] | undefined } & OtherNames & {
    /** Texts to train on, instead of `train_file`. */
    train?: Texts;
    /** Texts to evaluate on, instead of `validation_file`; without either, a tenth of the training texts. */
    validation?: Texts;
    /** Whether a run that was not stopped ends with `sample` events: what the model writes after three validation texts' beginnings. */
    samples?: boolean;
    /** Without it nothing is written, and `resume` is no option. */
    output_dir?: string | undefined;
  };

async function* textsOf(texts: Texts, name: string): AsyncGenerator<string> {
  let row = 0;
  for await (const item of texts) {
    row++;
    const text: unknown = typeof item === "object" && item !== null ? item.text : item;
    if (typeof text !== "string") {
      throw new LowrankError(
        "E_DATA_ROW",
        `${name}: text ${row} is ${typeof text}, expected a string or { text: string }.`,
        name,
      );
    }
    yield text;
  }
}

const source = (texts: Texts, name: string): TextSource => givenTexts(textsOf(texts, name));

export interface CheckedOptions {
  options: RunOptions;
  given: ReadonlySet<string>;
  train: string[] | TextSource;
  validation: string[] | TextSource | undefined;
  samples: boolean;
}

/** @param folder of the base model. @throws LowrankError E_USAGE naming everything that is wrong */
export function checkOptions(
  { train, validation, samples = false, ...object }: TrainerOptions,
  folder: string,
): CheckedOptions {
  const { options, given } = optionsFrom(command, object);
  const wrong: string[] = [];
  const one = (texts: Texts | undefined, files: string[] | undefined, name: string) => {
    if (texts !== undefined && files !== undefined)
      wrong.push(`${name} and ${name}_file are both given, expected one of them`);
    if (texts !== undefined && typeof texts === "string")
      wrong.push(`${name}: expected texts, found one string; files are named with ${name}_file`);
    return texts === undefined ? files : source(texts, name);
  };
  const from = one(train, options.train_file, "train");
  const held = one(validation, options.validation_file, "validation");
  if (from === undefined) wrong.push("train: missing; expected texts, or files in train_file");
  if (options.output_dir === undefined && options.resume !== undefined)
    wrong.push("resume: expected output_dir beside it");
  if (wrong.length > 0) throw new LowrankError("E_USAGE", wrong.join("; "));
  const model = { base_model: folder, tokenizer_name: undefined, precision: "auto", threads: undefined } as const;
  const surroundings = { config: undefined, dry_run: false, json: false, merge: undefined };
  return {
    options: { ...options, ...model, ...surroundings },
    given,
    train: from!,
    validation: held,
    samples: samples === true,
  };
}
