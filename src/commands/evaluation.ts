// A base on texts, with its adapter or with others of its shape.
import { LowrankError } from "../base/errors.js";
import type { CommandOptions } from "../config/index.js";
import { TokenDataset } from "../data/index.js";
import type { Engine } from "../native/index.js";
import {
  evaluating,
  type OpenedBase,
  openForInference,
  openTokenizerFor,
  openWithAdapter,
} from "../setup/inference.js";
import { checkTemplateUsed } from "../setup/row-forms.js";
import { namedTexts, readTokens } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { type Evaluation, evaluateModel } from "../trainer/index.js";
import { locatedShown, namedFilesShown } from "./downloading.js";
import { loading, STDERR } from "./loading.js";
import { tokenising } from "./tokenising.js";
import { warn } from "./warn.js";

export interface Evaluating {
  base: OpenedBase;
  engine: Engine;
  /** Of the engine as it is, shown as it goes on. @throws LowrankError E_TENSOR_VALUE, E_NAN */
  evaluate: () => Promise<Evaluation>;
}

/**
 * Does some work on a base and the texts that are named with validation_file or dataset_name.
 * @param inFile options that a file has, which may serve rows of other forms; those of the command line must serve these
 * @throws LowrankError
 */
export async function onTexts<T>(
  named: Omit<CommandOptions<"eval">, "json">,
  inFile: ReadonlySet<string>,
  work: (evaluating: Evaluating) => Promise<T>,
): Promise<T> {
  const files = await namedFilesShown(named, named.validation_file, "validation");
  const o = await locatedShown(named);
  const base = openWithAdapter(o, warn);
  const progress = await Progress.open(showsBar());
  const tokenizer = await openTokenizerFor(o, warn);
  const reading = { show: tokenising(progress), warn, note: STDERR.info };
  const texts = await namedTexts(files, "validation", o, tokenizer, reading);
  checkTemplateUsed(o, [texts.render], inFile);
  const { table, examples } = await readTokens(texts, tokenizer, base.model.config.vocabSize, o, reading);
  const batchSize = Math.min(o.per_device_eval_batch_size, examples.length);
  const needed = evaluating(batchSize, o.max_seq_length, o.share_weights);
  const creating = openForInference(base, needed, loading(progress, STDERR));
  await using engine = await creating.finally(() => progress.stop());
  const dataset = new TokenDataset(table, examples);
  const evaluate = async () => {
    progress.start("evaluating", Math.ceil(examples.length / batchSize));
    try {
      const found = await evaluateModel(engine, dataset, { batchSize, onProgress: (done) => progress.update(done) });
      if (found) return found;
    } finally {
      progress.stop();
    }
    throw new LowrankError("E_INTERNAL", "An evaluation without a signal ended early.");
  };
  return await work({ base, engine, evaluate });
}
