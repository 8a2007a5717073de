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
  files: DataFile[];
  labels: Label[];
}

/** The labels of a run's data, before the model is known. */
export interface TrainingLabels {
  render: ClassifiedSpec;
  column: string;
  read: ReadOptions;
  training: RowLabels;
  validation: RowLabels | null;
  /** The classifier that the data asks for. */
  asked: Classification;
}

const usage = (message: string, option: string) => new LowrankError("E_USAGE", message, option);

async function findColumns(
  files: DataFile[],
  o: LabelOptions,
  read: ReadOptions,
): Promise<{ column: string; render: ClassifiedSpec }> {
  const names = [...new Set([...LABEL_COLUMNS, ...TEXT_COLUMNS.flat()] as string[])];
  const row = await firstRow(
    files,
    names.map((name): Column => ({ name, holds: "values", isOptional: true })),
    read,
  );
  const has = (name: string) => (row?.[names.indexOf(name)] ?? null) !== null;
  const column = o.label_column ?? LABEL_COLUMNS.find(has);
  if (column === undefined)
    throw usage(
      `${pathOf(files[0]!)} has no column label or labels: name the column of the labels with --label_column.`,
      "label_column",
    );
  const side = o.truncation_side;
  if (o.text_column !== undefined || o.text_pair_column !== undefined) {
    return {
      column,
      render: {
        kind: "classified",
        column: o.text_column ?? "text",
        pairColumn: o.text_pair_column,
        truncationSide: side,
      },
    };
  }
  const [text, pairColumn] = TEXT_COLUMNS.find((some) => some.every((name) => has(name!))) ?? ["text"];
  return { column, render: { kind: "classified", column: text, pairColumn, truncationSide: side } };
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

async function readRowLabels(files: DataFile[], column: string, read: ReadOptions): Promise<RowLabels> {
  const labels: Label[] = [];
  for await (const { file, unit, rows } of readRows(files, [{ name: column, holds: "values" }], read)) {
    for (const { values, at } of rows) {
      const label = plainLabel(values[0]);
      if (label === undefined) {
        const message = `${file}, ${unit} ${at}: the label in column "${column}" is ${kindOf(values[0])}, expected a name, a number or a list of these.`;
        throw new LowrankError("E_LABEL", message, file);
      }
      labels.push(label);
    }
  }
  return { files, labels };
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

function namesOf(problem: ProblemType, { labels, files }: RowLabels, column: string): string[] {
  const file = pathOf(files[0]!);
  const wrong = (what: string) => new LowrankError("E_LABEL", `${file}, column "${column}": ${what}.`, file);
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

/**
 * Reads the labels of a run's files.
 * @throws LowrankError E_USAGE, E_LABEL and the errors of reading
 */
export async function readTrainingLabels(
  o: LabelOptions & { train_file: DataFile[]; validation_file: DataFile[] | undefined },
): Promise<TrainingLabels> {
  const trained = dataFiles(o.train_file, "train");
  const held = o.validation_file ? dataFiles(o.validation_file, "validation").files : trained.validation;
  const pipe = [...trained.files, ...held].map(pathOf).find(isPipe);
  if (pipe !== undefined)
    throw usage(`${pipe} is a pipe: files of labelled texts are read twice. Write it to a file first.`, "train_file");
  requireApart(trained.files, held);
  const read = readOptions(o);
  const { column, render } = await findColumns(trained.files, o, read);
  const training = await readRowLabels(trained.files, column, read);
  const validation = held.length > 0 ? await readRowLabels(held, column, read) : null;
  const problem = o.problem_type ?? problemOf(training.labels);
  const labels = namesOf(problem, training, column);
  return { render, column, read, training, validation, asked: { labels, problem } };
}

/** @throws LowrankError E_LABEL naming the place of a label that is not in the list */
async function numbered(
  { labels, files }: RowLabels,
  { column, read }: TrainingLabels,
  classifier: ClassifierConfig,
): Promise<NumberedLabels> {
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
  const [place] = await placesOf(files, [{ name: column, holds: "values" }], read, [first.row]);
  const list = names.length > 20 ? `${names.slice(0, 20).join(", ")}, ...` : names.join(", ");
  const message = `${place}: label ${JSON.stringify(first.label)} is not in the list of labels: ${list}. The list is the training rows' or the model's (id2label).`;
  throw new LowrankError("E_LABEL", message, place);
}

/** @throws LowrankError E_LABEL */
export async function numberLabels(found: TrainingLabels, classifier: ClassifierConfig): Promise<RunLabels> {
  const { render, training, validation } = found;
  return {
    render,
    classifier,
    training: await numbered(training, found, classifier),
    validation: validation && (await numbered(validation, found, classifier)),
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
