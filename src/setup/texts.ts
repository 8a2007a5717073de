// The texts that a command works on, as tokens from the cache.
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { defaultCacheFolder } from "../base/cache-folder.js";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";
import { count } from "../base/text.js";
import {
  type ChatTemplates,
  type ClassifiedSpec,
  type DataFile,
  dataFiles,
  fileRows,
  pathOf,
  type ReadOptions,
  type RenderSpec,
  rebuiltDifference,
  rendererOf,
  requireApart,
  splitValidation,
  type TextSource,
  TokenDataset,
  type Tokenised,
  Tokenizer,
  type TokenTable,
  tokenTable,
  type Wanted,
} from "../data/index.js";
import type { Warn } from "../model/index.js";
import { type ClassifierConfig, type ModelSource, trimHeaps } from "../native/index.js";
import { threadCount } from "./adapter.js";
import { checkTemplateUsed, type RowFormOptions, renderingOf } from "./row-forms.js";

/** Held back where no validation file is named. */
const VALIDATION_SHARE = 0.1;
const GIB = 2 ** 30;
/** Texts that a message names one by one. */
const NAMED = 3;
/** Texts that fit into one of `max_seq_length` tokens from which on packing is worth a hint. */
const WORTH_PACKING = 4;

/** How the rows of files are read. */
export interface ReadingOptions extends RowFormOptions {
  json_field?: string | undefined;
  text_by?: ReadOptions["textBy"];
  csv_separator?: ReadOptions["csvSeparator"];
  csv_quoting?: ReadOptions["csvQuoting"];
  /** Set where rows are classified. */
  classified?: ClassifiedSpec | undefined;
}

export interface TokenisingOptions {
  max_seq_length: number;
  long_text: "truncate" | "chunk";
  add_eos: boolean;
  cache_dir: string | undefined;
  cache_limit_gb: number;
  threads: number | undefined;
}

/** Shows how far the reading of some texts is. */
export interface ReadingDisplay {
  update(done: Tokenised): void;
  /** @param table null where reading failed */
  end(table: TokenTable | null): void;
}

export interface Reading {
  /** @param files that are read; none where the texts are in memory */
  show?: ((files: string[]) => ReadingDisplay) | undefined;
  signal?: AbortSignal | undefined;
  warn: (message: string) => void;
  /** Told which files of folders are read; else `warn` is. */
  note?: ((message: string) => void) | undefined;
}

/** The texts of some files. */
export interface TokenisedTexts {
  table: TokenTable;
  render: RenderSpec;
  /** Names texts by their numbers, which are in order. */
  where(rows: number[]): Promise<string[]>;
}

export function openTokenizer(
  o: { base_model: string; tokenizer_name: string | undefined },
  warn: Warn,
): Promise<Tokenizer> {
  return Tokenizer.open(o.tokenizer_name ?? o.base_model, warn);
}

/** How files are read. */
export function readOptions(o: ReadingOptions): ReadOptions {
  return {
    jsonField: o.json_field,
    textBy: o.text_by,
    csvSeparator: o.csv_separator,
    csvQuoting: o.csv_quoting,
  };
}

/**
 * @param names files, parts of files, folders and patterns
 * @param wanted the split that folders are read for
 * @throws LowrankError E_DATA_FILES, E_FILE, E_CHAT_TEMPLATE
 */
export async function namedTexts(
  names: DataFile[],
  wanted: Wanted,
  o: ReadingOptions & Pick<TokenisingOptions, "add_eos">,
  tokenizer: Tokenizer,
  reading: Reading,
): Promise<TextSource> {
  const { files, notes } = dataFiles(names, wanted);
  for (const note of notes) (reading.note ?? reading.warn)(note);
  const source = await fileTexts(files, o, tokenizer, reading);
  tellEnd(o, tokenizer, source.render, reading);
  return source;
}

/** Rows of files, as texts. */
async function fileTexts(
  files: DataFile[],
  o: ReadingOptions,
  tokenizer: Tokenizer,
  { note, warn }: Reading,
): Promise<TextSource> {
  const options = readOptions(o);
  if (o.classified) return fileRows(files, o.classified, options, warn);
  const render = await renderingOf(files, o, options, tokenizer, note ?? warn);
  return fileRows(files, render, options, warn);
}

/** Every text, whatever is in it. */
export async function tokenise(
  source: TextSource,
  tokenizer: Tokenizer,
  o: TokenisingOptions,
  { show, signal, warn }: Reading,
): Promise<TokenisedTexts> {
  const { files } = source;
  const display = show?.(files);
  let table: TokenTable | null = null;
  try {
    table = await tokenTable(source, {
      tokenizer,
      maxLength: o.max_seq_length,
      longText: o.long_text,
      addEos: o.add_eos,
      folder: o.cache_dir ?? defaultCacheFolder(),
      limit: o.cache_limit_gb * GIB,
      threads: threadCount(o.threads),
      onProgress: display && ((done) => display.update(done)),
      signal,
      warn,
    });
    // Tokenising needs the most outside of an engine, and needs it no more.
    trimHeaps();
    return { table, render: source.render, where: (rows) => source.places(rows) };
  } finally {
    display?.end(table);
  }
}

/** @throws LowrankError E_TOKENIZER naming the first text with a token that the base model has no embedding for */
async function checkIds({ table, where }: TokenisedTexts, tokenizer: Tokenizer, vocabSize: number): Promise<void> {
  const example = table.findToken(vocabSize);
  if (example < 0) return;
  const id = table.sequence(example).inputIds.find((each) => each >= vocabSize)!;
  const [place] = await where([table.row(example)]);
  const text = JSON.stringify(tokenizer.decode([id], { skipSpecialTokens: false }));
  throw new LowrankError(
    "E_TOKENIZER",
    `${place}: token ${text} has number ${id}, but the base model's embedding ends with ${vocabSize - 1} (vocab_size ${vocabSize}). ` +
      "Leave the text out, or name the model's own tokenizer with --tokenizer_name; a token that was added needs a model whose embedding was resized for it.",
    place,
  );
}

/** Numbers of texts without an example that has something to learn, in order. */
export function leftOut(table: TokenTable): number[] {
  const learned = new Uint8Array(table.texts);
  for (const example of table.learnable()) learned[table.row(example)] = 1;
  const found: number[] = [];
  for (const [row, isLearned] of learned.entries()) if (!isLearned) found.push(row);
  return found;
}

/** Numbers of the examples with something to learn. @throws LowrankError E_ALL_MASKED where there is none */
async function learnable(
  { table, render, where }: TokenisedTexts,
  warn: Reading["warn"],
  role: string,
): Promise<Int32Array> {
  const rows = leftOut(table);
  const examples = table.learnable();
  if (rows.length === 0) return examples;
  const named = await where(rows.slice(0, NAMED));
  const { unlearned, columns } = rendererOf(render);
  const list = `${named.join("; ")}${rows.length > NAMED ? `; and ${count(rows.length - NAMED)} more` : ""}`;
  if (examples.length === 0) {
    const names = columns.flatMap(({ name, isOptional }) => (isOptional ? [] : [name])).join(" and ");
    const advice = render.kind === "text" ? "Check --text_column." : `Check the columns ${names}.`;
    const message = `There is nothing to learn in any of the ${count(table.texts)} ${role}texts (${list}): each is ${unlearned}. ${advice}`;
    throw new LowrankError("E_ALL_MASKED", message, named[0]);
  }
  const what =
    rows.length === 1
      ? `1 ${role}text is left out, as it is`
      : `${count(rows.length)} ${role}texts are left out, as they are`;
  warn(`${what} ${unlearned}, with nothing to learn: ${list}`);
  return examples;
}

/** The texts that a model can learn from. */
export interface LearnableTexts {
  table: TokenTable;
  /** Numbers of the examples with something to learn, in order; at least one. */
  examples: Int32Array;
}

/**
 * @param vocabSize of the base model
 * @param role of the texts in messages, where a run has texts of another one
 * @throws LowrankError of reading; E_TOKENIZER, E_ALL_MASKED
 */
export async function readTokens(
  source: TextSource,
  tokenizer: Tokenizer,
  vocabSize: number,
  o: TokenisingOptions,
  reading: Reading,
  role: "" | "training " | "validation " = "",
): Promise<LearnableTexts> {
  const texts = await tokenise(source, tokenizer, o, reading);
  await checkIds(texts, tokenizer, vocabSize);
  return { table: texts.table, examples: await learnable(texts, reading.warn, role) };
}

/**
 * Warns where transformers 5 would make another tokenizer of a model's own, and where it has tokens that the model has no embedding for. Other faults of the tokenizer are told when it is
 * used.
 */
export async function warnOfTokenizer(model: ModelSource, warn: Warn): Promise<void> {
  const tokenizer = await Tokenizer.open(model.folder).catch(() => null);
  const difference = tokenizer && (await rebuiltDifference(tokenizer));
  if (difference) warn(difference);
  const { vocabSize } = model.config;
  const beyond = tokenizer?.tokensFrom(vocabSize) ?? [];
  const [first] = beyond;
  if (!first) return;
  const what = beyond.length === 1 ? "1 token that the model has" : `${count(beyond.length)} tokens that the model has`;
  warn(
    `the tokenizer has ${what} no embedding for (vocab_size ${vocabSize}): ${JSON.stringify(first[1])} is number ${first[0]}; a text that holds one is refused`,
  );
}

/** Whether the tokenizer's end token ends the texts that rows become; conversations end as their template says. */
export function endsTexts(render: RenderSpec): boolean {
  return render.kind === "text" || (render.kind === "chat" && render.templates === null);
}

/** Tells the effect of `add_eos` on texts. */
export function tellEnd(
  { add_eos }: Pick<TokenisingOptions, "add_eos">,
  { eosToken }: Tokenizer,
  render: RenderSpec,
  { note, warn }: Pick<Reading, "note" | "warn">,
): void {
  if (!add_eos || !endsTexts(render)) return;
  if (eosToken !== undefined) note?.(`each text ends with ${eosToken} (add_eos)`);
  else warn("the tokenizer names no end token (eos_token): texts are learned without an end, as with --no-add_eos");
}

/** Divides examples by their texts as `splitValidation` does. */
function split({ table, examples }: LearnableTexts, seed: number): { training: Int32Array; validation: Int32Array } {
  const texts = [...new Set(Array.from(examples, (example) => table.row(example)))];
  const isHeld = new Uint8Array(table.texts);
  for (const i of splitValidation(texts.length, VALIDATION_SHARE, seed).validation) isHeld[texts[i]!] = 1;
  const side = (held: number) => examples.filter((example) => isHeld[table.row(example)] === held);
  return { training: side(0), validation: side(1) };
}

export interface TrainTextOptions extends TokenisingOptions, ReadingOptions {
  /** Files, folders and patterns, or the texts themselves. */
  train_file: DataFile[] | TextSource;
  validation_file: DataFile[] | TextSource | undefined;
  packing: boolean;
  pad_to_max_length: boolean;
  seed: number;
  /** Whose files are no texts. */
  output_dir?: string | undefined;
  /** Set where texts are classified. */
  labels?: RunLabels | undefined;
}

/** Labels as numbers: `width` for each row. */
export interface NumberedLabels {
  labels: Float32Array;
  width: number;
}

/** The labels of a run's texts as the engine takes them. */
export interface RunLabels {
  render: ClassifiedSpec;
  classifier: ClassifierConfig;
  training: NumberedLabels;
  validation: NumberedLabels | null;
}

/** The texts that a training run reads. */
export interface TrainingTexts {
  tokenizer: Tokenizer;
  training: TokenDataset;
  validation: TokenDataset;
  /** Renderers of the training and, where there are any, the validation rows. */
  renders: RenderSpec[];
  /** sha256 of the texts that were read; null where a part of the training texts is evaluated on. */
  hashes: { training: string; validation: string | null };
  /** sha256 of the labels, where texts are classified. */
  labels?: string;
}

/**
 * The sources of the training and the validation texts. The latter is null where a part of the training texts is
 * evaluated on.
 * @throws LowrankError E_DATA_FILES, also for a file that is in both
 */
async function trainingSources(
  o: TrainTextOptions,
  tokenizer: Tokenizer,
  reading: Reading,
): Promise<[TextSource, TextSource | null]> {
  const { train_file: train, validation_file: validation } = o;
  if (!Array.isArray(train)) {
    if (!Array.isArray(validation)) return [train, validation ?? null];
    return [train, await namedTexts(validation, "validation", o, tokenizer, reading)];
  }
  const { note = reading.warn } = reading;
  const trained = dataFiles(train, "train", o.output_dir);
  const given = Array.isArray(validation) ? dataFiles(validation, "validation", o.output_dir) : null;
  const own = validation === undefined ? trained.validation : [];
  for (const line of [...trained.notes, ...(given?.notes ?? [])]) note(line);
  if (own.length > 0) {
    const files = own.length === 1 ? own[0] : `${own.length} files, ${own[0]} the first`;
    note(`the validation split is evaluated on, instead of a tenth of the training texts: ${files}`);
  }
  const held = given?.files ?? own;
  requireApart(trained.files, held);
  const texts = (files: DataFile[]) => fileTexts(files, o, tokenizer, reading);
  if (validation !== undefined && !Array.isArray(validation)) return [await texts(trained.files), validation];
  return [await texts(trained.files), held.length > 0 ? await texts(held) : null];
}

/** Whether the files that are named are there, before anything else takes its time. @throws LowrankError E_DATA_FILES, E_FILE_MISSING */
export function checkTextFiles({
  train_file,
  validation_file,
  output_dir,
}: {
  train_file: string[] | undefined;
  validation_file: string[] | undefined;
  output_dir: string;
}): void {
  const files = [
    ...dataFiles(train_file ?? [], "train", output_dir).files,
    ...dataFiles(validation_file ?? [], "validation", output_dir).files,
  ];
  for (const file of files.map(pathOf)) {
    try {
      statSync(file);
    } catch (error) {
      throw readError(error, file, "Data file");
    }
  }
}

/**
 * The tokenizer's padding token where the model has it. Any other token is as good, for padding is not learned and
 * nothing attends to it.
 */
export function paddingToken(
  { padTokenId, eosTokenId }: Pick<Tokenizer, "padTokenId" | "eosTokenId">,
  vocabSize: number,
): number {
  return [padTokenId, eosTokenId].find((id) => id !== undefined && id < vocabSize) ?? 0;
}

/** @param vocabSize of the base model */
export async function readTrainingTexts(
  o: TrainTextOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
  reading: Reading,
): Promise<TrainingTexts> {
  const { labels } = o;
  if (labels) return readLabelledTexts(o, labels, tokenizer, vocabSize, reading);
  const [training, validation] = await trainingSources(o, tokenizer, reading);
  checkTemplateUsed(o, [training.render, ...(validation ? [validation.render] : [])]);
  tellEnd(o, tokenizer, training.render, reading);
  const read = (source: TextSource, role: "training " | "validation ") =>
    readTokens(source, tokenizer, vocabSize, o, reading, role);
  const given = await read(training, "training ");
  const held = validation && (await read(validation, "validation "));
  const padId = paddingToken(tokenizer, vocabSize);
  const padding = o.pad_to_max_length ? { padTo: o.max_seq_length, padId } : {};
  const packing = o.packing ? { packTo: o.max_seq_length } : {};
  const sides = held ? { training: given.examples, validation: held.examples } : split(given, o.seed);
  return {
    tokenizer,
    training: new TokenDataset(given.table, sides.training, { ...padding, ...packing }),
    validation: new TokenDataset((held ?? given).table, sides.validation, padding),
    renders: [training.render, ...(validation ? [validation.render] : [])],
    hashes: { training: given.table.content.sha256, validation: held === null ? null : held.table.content.sha256 },
  };
}

/** The chat templates that a run was told to render by, for the place beside its adapter; undefined where they are the tokenizer's own. */
export function givenTemplates(
  { chat_template }: Pick<ReadingOptions, "chat_template">,
  { renders }: Pick<TrainingTexts, "renders">,
): ChatTemplates | undefined {
  if (chat_template === undefined) return undefined;
  const found = renders.map((render) => (render.kind === "chat" ? render.templates : null));
  return found.find((templates) => templates !== null) ?? undefined;
}

/** @param vocabSize of the base model */
async function readLabelledTexts(
  given: TrainTextOptions,
  { classifier, render, ...labels }: RunLabels,
  tokenizer: Tokenizer,
  vocabSize: number,
  reading: Reading,
): Promise<TrainingTexts> {
  const o: TrainTextOptions = { ...given, classified: render, add_eos: false, long_text: "truncate" };
  const [training, validation] = await trainingSources(o, tokenizer, reading);
  const read = async (source: TextSource): Promise<LearnableTexts> => {
    const texts = await tokenise(source, tokenizer, o, reading);
    await checkIds(texts, tokenizer, vocabSize);
    return { table: texts.table, examples: Int32Array.from({ length: texts.table.length }, (_, i) => i) };
  };
  const texts = await read(training);
  const held = validation && (await read(validation));
  const sides = held ? { training: texts.examples, validation: held.examples } : split(texts, o.seed);
  const hash = createHash("sha256");
  for (const side of [labels.training, labels.validation]) if (side) hash.update(side.labels);
  return {
    tokenizer,
    training: new TokenDataset(texts.table, sides.training, { classified: { classifier, ...labels.training } }),
    validation: new TokenDataset((held ?? texts).table, sides.validation, {
      classified: { classifier, ...(labels.validation ?? labels.training) },
    }),
    renders: [training.render, ...(validation ? [validation.render] : [])],
    hashes: { training: texts.table.content.sha256, validation: held === null ? null : held.table.content.sha256 },
    labels: hash.digest("hex"),
  };
}

/** Says how many packs short texts would make; undefined where they are packed, or not short. */
export function packingHint(
  { training }: TrainingTexts,
  o: Pick<TrainTextOptions, "packing" | "max_seq_length">,
): string | undefined {
  const { length } = training;
  if (o.packing || length * o.max_seq_length < WORTH_PACKING * training.allTokens) return undefined;
  const packs = training.packs(o.max_seq_length);
  if (packs * WORTH_PACKING > length) return undefined;
  const mean = count(Math.round(training.allTokens / length));
  return `the texts are short, ${mean} tokens in the mean: --packing would make ${count(packs)} pack${packs === 1 ? "" : "s"} of these ${count(length)} texts`;
}
