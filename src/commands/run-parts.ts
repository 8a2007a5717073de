// The parts that every run at a terminal is made of, for one adapter or for several.
import { worldOf } from "../base/ranks.js";
import type { CommandOptions } from "../config/index.js";
import { type AdapterSpecs, Engine, type EngineOptions, type ModelSource } from "../native/index.js";
import { chooseDevice, choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import type { TrainingFiles } from "../setup/dataset.js";
import type { Located } from "../setup/hub.js";
import { numberLabels, type TrainingLabels } from "../setup/labels.js";
import type { PlannedBase } from "../setup/run/prepare.js";
import { openTokenizer, packingHint, readTrainingTexts, type TrainingTexts } from "../setup/texts.js";
import type { TrainDisplay } from "./train-display.js";

/** The options that both commands have. */
type Options = Pick<CommandOptions<"train">, keyof CommandOptions<"train"> & keyof CommandOptions<"sweep">>;
/** With files in the place of names. */
export type Found<O extends Options = Options> = Omit<Located<O>, keyof TrainingFiles> & TrainingFiles;

/** @param labels of a classifier */
export function openRunBase(
  o: Found,
  labels: TrainingLabels | null,
  warn: (message: string) => void,
): PlannedBase & { model: ModelSource } {
  const model = openBase(o, warn, labels?.asked);
  const ranks = worldOf()?.localSize ?? 1;
  return {
    model,
    precision: choosePrecision(o.precision, model),
    threads: threadCount(o.threads, warn),
    device: chooseDevice(o.device),
    tokenizer: o.tokenizer_name ?? o.base_model,
    // The ranks of one machine have the base once.
    sharesWeights: o.share_weights || ranks > 1,
    samplesOnly: true,
    ranks,
  };
}

/** Work that is begun ahead and awaited later; until then its failure is nobody's. */
export function ahead<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

export async function readTexts(
  o: Found,
  model: ModelSource,
  labels: TrainingLabels | null,
  display: TrainDisplay,
  signal: AbortSignal,
): Promise<TrainingTexts> {
  const numbered = labels ? await numberLabels(labels, model.config.classifier!) : undefined;
  const tokenizer = await openTokenizer(o, display.warn);
  const wanted = { ...o, labels: numbered };
  const texts = await readTrainingTexts(wanted, tokenizer, model.config.vocabSize, display.reading(signal));
  if (numbered) return texts;
  const hint = packingHint(texts, o);
  if (hint) display.log.info(hint);
  return texts;
}

/** While texts are read, the bar is theirs. */
export function createEngine(
  model: ModelSource,
  adapters: AdapterSpecs,
  options: EngineOptions,
  display: TrainDisplay,
  reading: Promise<TrainingTexts>,
): Promise<Engine> {
  let isRead = false;
  const read = () => {
    isRead = true;
  };
  void reading.then(read, read);
  return Engine.create(
    model,
    adapters,
    options,
    display.loading(() => isRead),
  );
}
