// The preparation that a trainer and a sweep share: names become files, and the texts are read when they are wanted.
import { LowrankError } from "../base/errors.js";
import { worldOf } from "../base/ranks.js";
import type { DataFile } from "../data/index.js";
import { type TrainingFiles, trainingFiles } from "../setup/dataset.js";
import { adapterFolder } from "../setup/hub.js";
import { numberLabels, readTrainingLabels } from "../setup/labels.js";
import type { RunOptions } from "../setup/run/options.js";
import type { PlannedBase } from "../setup/run/prepare.js";
import { readTrainingTexts, type TrainingTexts } from "../setup/texts.js";
import { fetching } from "./download.js";
import { collected, type GivenItems, type GivenRows, itemSource, labelledSource } from "./items.js";
import { asClassifier, type Model } from "./model.js";
import type { CheckedOptions } from "./options.js";

/** @throws LowrankError E_USAGE where model and options are not of one task */
function checkTask({ options: { task }, samples }: CheckedOptions, model: Model): void {
  const wrong = (message: string, option: string) => new LowrankError("E_USAGE", `${message}.`, option);
  if (task === "seq-cls" && samples)
    throw wrong("samples needs task causal-lm: a classifier writes no texts", "samples");
  if (task !== "seq-cls" && model.config.classifier)
    throw wrong("The model was opened as a classifier: give task seq-cls here, too", "task");
}

/** The labels of a run, and its rows as texts. @throws LowrankError E_USAGE, E_LABEL and the errors of reading */
async function labelledRows(files: TrainingFiles<string[] | GivenItems>, options: RunOptions) {
  const inMemory = async (given: DataFile[] | GivenItems) => (Array.isArray(given) ? given : collected(given));
  const train_file = await inMemory(files.train_file);
  const validation_file = files.validation_file && (await inMemory(files.validation_file));
  const labels = await readTrainingLabels({ ...options, train_file, validation_file });
  const texts = (given: DataFile[] | GivenRows) =>
    Array.isArray(given) ? given : labelledSource(given, labels.render);
  return { labels, train_file: texts(train_file), validation_file: validation_file && texts(validation_file) };
}

export interface OpenedRun {
  /** With folders in the place of names. */
  options: RunOptions;
  base: PlannedBase;
  readTexts(): Promise<TrainingTexts>;
}

/** @throws LowrankError E_USAGE, E_LABEL, E_HUB_... and the errors of files; or the signal's reason */
export async function openRun(
  model: Model,
  checked: CheckedOptions,
  warn: (message: string) => void,
): Promise<OpenedRun> {
  checkTask(checked, model);
  const { init_adapter: initial } = checked.options;
  const from = fetching(checked.download, warn);
  const init_adapter = initial === undefined ? undefined : await adapterFolder(initial, from);
  const options = { ...checked.options, init_adapter };
  const named = { ...options, train_file: checked.train, validation_file: checked.validation };
  const files = await trainingFiles(named, from);
  const labelled = options.task === "seq-cls" ? await labelledRows(files, options) : null;
  const { precision, threads, device } = model;
  const ranks = worldOf()?.localSize ?? 1;
  // The ranks of one machine have the base once.
  const sharesWeights = model.sharesWeights || ranks > 1;
  const source = labelled ? asClassifier(model, labelled.labels.asked) : model.source;
  const base = { model: source, precision, threads, device, tokenizer: null, sharesWeights, samplesOnly: false, ranks };
  const readTexts = async () => {
    const sourceOf = async (given: DataFile[] | GivenItems) =>
      Array.isArray(given) ? given : itemSource(given, options, model.tokenizer, warn);
    const train_file = labelled ? labelled.train_file : await sourceOf(files.train_file);
    const held = labelled ? labelled.validation_file : files.validation_file && (await sourceOf(files.validation_file));
    const labels = labelled ? await numberLabels(labelled.labels, source.config.classifier!) : undefined;
    const wanted = { ...options, threads, train_file, validation_file: held, labels };
    return readTrainingTexts(wanted, model.tokenizer, source.config.vocabSize, { warn, signal: from.signal });
  };
  return { options, base, readTexts };
}
