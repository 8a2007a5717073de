// The labels of data that is classified: their column, their names, and numbers for the engine.

import { LowrankError } from "../base/errors.js";
import { Float } from "../base/exact-json.js";
import { kindOf } from "../base/json.js";
import {
  type ClassifiedSpec,
  type Column,
  type DataFile,
  dataFiles,
  firstRow,
  isPipe,
  pathOf,
  placesOf,
  type ReadOptions,
  readRows,
  requireApart,
} from "../data/index.js";
import type { Classification } from "../model/index.js";
import type { ClassifierConfig, ModelSource, ProblemType } from "../native/index.js";
import { type NumberedLabels, type ReadingOptions, type RunLabels, readOptions } from "./texts.js";

export interface LabelOptions extends ReadingOptions {
  label_column?: string | undefined;
  text_pair_column?: string | undefined;
  truncation_side?: "left" | "right" | undefined;
  problem_type?: ProblemType | undefined;
  /** Whose files are no texts. */
  output_dir?: string | undefined;
}

const LABEL_COLUMNS = ["label", "labels"];
/** Columns of texts, and of pairs, by which they are known where no option names them. */
const TEXT_COLUMNS: [column: string, pair?: string][] = [
  ["text"],
  ["sentence1", "sentence2"],
  ["premise", "hypothesis"],
  ["question1", "question2"],
  ["sentence"],
];
const NAMED = 3;

/** A label of a row as it stands in the data. */
type Label = string | number | (string | number)[];

interface RowLabels {
  /** The rows' name for people: the first of their files. */
  from: string;
  labels: Label[];
  /** Names a row by its number. */
  place(row: number): Promise<string>;
}

/** Rows whose labels are to be read: files, or rows in memory with the name of the argument that holds them. */
export type LabelledRows = DataFile[] | { rows: readonly unknown[]; name: string };

/** The labels of a run's data, before the model is known. */
export interface TrainingLabels {
  render: ClassifiedSpec;
  training: RowLabels;
  validation: RowLabels | null;
  /** The classifier that the data asks for. */
  asked: Classification;
}

const usage = (message: string, option: string) => new LowrankError("E_USAGE", message, option);

const columnOf = (row: unknown, name: string): unknown => (row as Record<string, unknown> | null)?.[name] ?? null;

/** Which of some columns the first row has. */
async function columnsOf(
  given: LabelledRows,
  names: string[],
  read: ReadOptions,
): Promise<{ from: string; has: (name: string) => boolean }> {
  if (!Array.isArray(given)) {
    return { from: given.name, has: (name) => columnOf(given.rows[0], name) !== null };
  }
  const columns = names.map((name): Column => ({ name, holds: "values", isOptional: true }));
  const row = await firstRow(given, columns, read);
  return { from: pathOf(given[0]!), has: (name) => (row?.[names.indexOf(name)] ?? null) !== null };
}

type TextColumns = Pick<LabelOptions, "text_column" | "text_pair_column">;

/** The columns that options name, else known ones that the rows have. */
function textColumns(o: TextColumns, has: (name: string) => boolean): readonly [string, string?] {
  if (o.text_column !== undefined || o.text_pair_column !== undefined)
    return [o.text_column ?? "text", o.text_pair_column];
  return TEXT_COLUMNS.find((some) => some.every((name) => has(name!))) ?? ["text"];
}

/** The columns of the text, and of the second text of pairs, in files without labels. */
export async function columnsOfTexts(
  files: DataFile[],
  o: TextColumns,
  read: ReadOptions,
): Promise<readonly [string, string?]> {
  const { has } = await columnsOf(files, TEXT_COLUMNS.flat() as string[], read);
  return textColumns(o, has);
}

async function findColumns(
  given: LabelledRows,
  o: LabelOptions,
  read: ReadOptions,
): Promise<{ column: string; render: ClassifiedSpec }> {
  const names = [...new Set([...LABEL_COLUMNS, ...TEXT_COLUMNS.flat()] as string[])];
  const { from, has } = await columnsOf(given, names, read);
  const column = o.label_column ?? LABEL_COLUMNS.find(has);
  if (column === undefined)
    throw usage(
      `${from} has no column label or labels: name the column of the labels with --label_column.`,
      "label_column",
    );
  const [text, pairColumn] = textColumns(o, has);
  return { column, render: { kind: "classified", column: text, pairColumn, truncationSide: o.truncation_side } };
}

/** Numbers of any kind as numbers; true and false as 1 and 0. */
function plainLabel(value: unknown): Label | undefined {
  if (typeof value === "string" && value.trim() !== "") return value;
  if (typeof value === "boolean") return Number(value);
  const number = value instanceof Float ? value.value : value;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  if (!Array.isArray(value)) return undefined;
  const list = value.map(plainLabel);
  return list.every((one) => one !== undefined && !Array.isArray(one)) ? (list as (string | number)[]) : undefined;
}

async function readRowLabels(given: LabelledRows, column: string, read: ReadOptions): Promise<RowLabels> {
  const labels: Label[] = [];
  const add = (value: unknown, from: string, place: string) => {
    const label = plainLabel(value);
    if (label === undefined) {
      const message = `${place}: the label in column "${column}" is ${kindOf(value)}, expected a name, a number or a list of these.`;
      throw new LowrankError("E_LABEL", message, from);
    }
    labels.push(label);
  };
  if (!Array.isArray(given)) {
    const { rows, name } = given;
    for (const [i, row] of rows.entries()) add(columnOf(row, column), name, `${name}: row ${i + 1}`);
    return { from: name, labels, place: async (row) => `${name}: row ${row + 1}` };
  }
  const columns: Column[] = [{ name: column, holds: "values" }];
  for await (const { file, unit, rows } of readRows(given, columns, read)) {
    for (const { values, at } of rows) add(values[0], file, `${file}, ${unit} ${at}`);
  }
  const place = async (row: number) => (await placesOf(given, columns, read, [row]))[0]!;
  return { from: pathOf(given[0]!), labels, place };
}

const isNumeric = (label: unknown) =>
  typeof label === "number" || (typeof label === "string" && label.trim() !== "" && Number.isFinite(Number(label)));
const isWhole = (label: unknown) => Number.isInteger(Number(label));

/** The problem that labels are of, as transformers tells it by the dtype of labels. */
function problemOf(labels: Label[]): ProblemType {
  if (labels.some(Array.isArray)) return "multi_label_classification";
  return labels.every(isNumeric) && !labels.every(isWhole) ? "regression" : "single_label_classification";
}

/** Names of classes in order: numbers by their size, else as texts are sorted. */
function sortedNames(labels: (string | number)[]): string[] {
  const names = [...new Set(labels.map(String))];
  return names.every((name) => isNumeric(name)) ? names.sort((a, b) => Number(a) - Number(b)) : names.sort();
}

function namesOf(problem: ProblemType, { labels, from }: RowLabels, column: string): string[] {
  const wrong = (what: string) => new LowrankError("E_LABEL", `${from}, column "${column}": ${what}.`, from);
  if (problem === "regression") {
    const stranger = labels.find((label) => !isNumeric(label));
    if (stranger !== undefined) throw wrong(`label ${JSON.stringify(stranger)} is no number, as a regression needs`);
    return ["LABEL_0"];
  }
  if (problem === "single_label_classification") {
    const stranger = labels.find(Array.isArray);
    if (stranger !== undefined)
      throw wrong(
        `label ${JSON.stringify(stranger)} is a list, expected one label a row (problem_type single_label_classification)`,
      );
    const names = sortedNames(labels as (string | number)[]);
    if (names.length > 1) return names;
    throw wrong(
      `every row has the label ${JSON.stringify(names[0])}: there is one class only, and nothing to tell apart`,
    );
  }
  const lists = labels.map((label) => [label].flat());
  if (lists.every((list) => list.every((one) => typeof one === "number"))) {
    const width = lists[0]!.length;
    const other = lists.find(({ length }) => length !== width);
    if (other) throw wrong(`a row has ${other.length} numbers, the first ${width}: expected 0 or 1 for each label`);
    return Array.from({ length: width }, (_, i) => `LABEL_${i}`);
  }
  return sortedNames(lists.flat());
}

/** The rows of training and, where there are any, of validation. @throws LowrankError E_USAGE, E_DATA_FILES */
function labelledRows(
  train: LabelledRows,
  validation: LabelledRows | undefined,
  output: string | undefined,
): [LabelledRows, LabelledRows | null] {
  const trained = Array.isArray(train) ? dataFiles(train, "train", output) : { files: [], validation: [] };
  const given = Array.isArray(validation) ? dataFiles(validation, "validation", output).files : [];
  const held = validation === undefined ? trained.validation : given;
  const pipe = [...trained.files, ...held].map(pathOf).find(isPipe);
  if (pipe !== undefined)
    throw usage(`${pipe} is a pipe: files of labelled texts are read twice. Write it to a file first.`, "train_file");
  requireApart(trained.files, held);
  const rows = Array.isArray(train) ? trained.files : train;
  if (validation !== undefined && !Array.isArray(validation)) return [rows, validation];
  return [rows, held.length > 0 ? held : null];
}

/**
 * Reads the labels of a run's rows.
 * @throws LowrankError E_USAGE, E_LABEL and the errors of reading
 */
export async function readTrainingLabels(
  o: LabelOptions & { train_file: LabelledRows; validation_file: LabelledRows | undefined },
): Promise<TrainingLabels> {
  const [train, held] = labelledRows(o.train_file, o.validation_file, o.output_dir);
  const read = readOptions(o);
  const { column, render } = await findColumns(train, o, read);
  const training = await readRowLabels(train, column, read);
  const validation = held && (await readRowLabels(held, column, read));
  const problem = o.problem_type ?? problemOf(training.labels);
  const labels = namesOf(problem, training, column);
  return { render, training, validation, asked: { labels, problem } };
}

/** @throws LowrankError E_LABEL naming the place of a label that is not in the list */
async function numbered({ labels, place }: RowLabels, classifier: ClassifierConfig): Promise<NumberedLabels> {
  const { labels: names, problem } = classifier;
  const width = problem === "single_label_classification" ? 1 : names.length;
  const numbers = new Float32Array(labels.length * width);
  const ids = new Map(names.map((name, i) => [name, i]));
  // Numbers are their own classes where the classifier's names are none.
  const areIds =
    !names.some((name) => isNumeric(name)) && labels.flat().every((label) => isNumeric(label) && isWhole(label));
  const idOf = (label: string | number) =>
    areIds && Number(label) >= 0 && Number(label) < names.length ? Number(label) : ids.get(String(label));
  const strangers: { row: number; label: unknown }[] = [];
  for (const [row, label] of labels.entries()) {
    if (strangers.length === NAMED) break;
    if (problem === "regression") {
      if (isNumeric(label)) numbers[row] = Number(label);
      else strangers.push({ row, label });
      continue;
    }
    if (problem === "single_label_classification") {
      const id = Array.isArray(label) ? undefined : idOf(label);
      if (id === undefined) strangers.push({ row, label });
      else numbers[row] = id;
      continue;
    }
    const list = [label].flat();
    if (list.length === width && list.every((one) => typeof one === "number")) {
      numbers.set(list as number[], row * width);
      continue;
    }
    for (const one of list) {
      const id = idOf(one);
      if (id === undefined) strangers.push({ row, label: one });
      else numbers[row * width + id] = 1;
    }
  }
  const [first] = strangers;
  if (!first) return { labels: numbers, width };
  const at = await place(first.row);
  const list = names.length > 20 ? `${names.slice(0, 20).join(", ")}, ...` : names.join(", ");
  const message = `${at}: label ${JSON.stringify(first.label)} is not in the list of labels: ${list}. The list is the training rows' or the model's (id2label).`;
  throw new LowrankError("E_LABEL", message, at);
}

/** @throws LowrankError E_LABEL */
export async function numberLabels(found: TrainingLabels, classifier: ClassifierConfig): Promise<RunLabels> {
  const { render, training, validation } = found;
  return {
    render,
    classifier,
    training: await numbered(training, classifier),
    validation: validation && (await numbered(validation, classifier)),
  };
}

/** Facts of a classifier for the log: its labels, and where its head begins. */
export function aboutClassifier({ config, spec, tensors }: ModelSource): string[] {
  const { labels, problem } = config.classifier!;
  const shown = labels.length > 20 ? `${labels.slice(0, 20).join(", ")}, ...` : labels.join(", ");
  const stored = new Set(tensors.map(({ name }) => name));
  const made = spec.classifier!.layers.filter(({ linear }) => !stored.has(`${linear.module}.weight`));
  const names = made.map(({ linear }) => linear.module).join(", ");
  const lines =
    problem === "regression"
      ? [`${problem}: ${labels.length} number a text`]
      : [`${problem}: ${labels.length} labels: ${shown}`];
  if (made.length > 0) lines.push(`${names} is not in the base's files: its weights begin at random (seed)`);
  return lines;
}
