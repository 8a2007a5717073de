import type { CommandOptions } from "../config/index.js";
import { TokenDataset } from "../data/index.js";
import { evaluating, openForInference, openWithAdapter } from "../setup/inference.js";
import { namedTexts, openTokenizer, readTokens } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { evaluateModel } from "../trainer/index.js";
import { locatedShown, namedFilesShown } from "./downloading.js";
import { loading, STDERR } from "./loading.js";
import { tokenising } from "./tokenising.js";
import { warn } from "./warn.js";

/** `lowrank eval`: loss and perplexity on standard output. */
export async function run(named: CommandOptions<"eval">): Promise<void> {
  const files = await namedFilesShown(named, named.validation_file, "validation");
  const o = await locatedShown(named);
  const base = openWithAdapter(o, warn);
  const progress = await Progress.open(showsBar());
  const tokenizer = await openTokenizer(o, warn);
  const reading = { show: tokenising(progress), warn, note: STDERR.info };
  const texts = await namedTexts(files, "validation", o, tokenizer, reading);
  const { table, examples } = await readTokens(texts, tokenizer, base.model.config.vocabSize, o, reading);
  const batchSize = Math.min(o.per_device_eval_batch_size, examples.length);
  const work = evaluating(batchSize, o.max_seq_length, o.share_weights);
  const creating = openForInference(base, work, loading(progress, STDERR));
  await using engine = await creating.finally(() => progress.stop());
  const dataset = new TokenDataset(table, examples);
  progress.start("evaluating", Math.ceil(examples.length / batchSize));
  try {
    const found = await evaluateModel(engine, dataset, { batchSize, onProgress: (done) => progress.update(done) });
    progress.stop();
    const lines = Object.entries(found ?? {}).map(([name, value]) => `${name}: ${value}`);
    process.stdout.write(`${o.json ? JSON.stringify(found) : lines.join("\n")}\n`);
  } finally {
    progress.stop();
  }
}
