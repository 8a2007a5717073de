import { readAdapter } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { TokenDataset } from "../data/index.js";
import { Engine, type EngineOptions } from "../native/index.js";
import { choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase, withBase } from "../setup/base.js";
import { planInference } from "../setup/memory/inference.js";
import { namedTexts, openTokenizer, readTokens, tellEnd } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { evaluateModel } from "../trainer/index.js";
import { loading, STDERR } from "./loading.js";
import { tokenising } from "./tokenising.js";
import { warn } from "./warn.js";

/** `lowrank eval`: loss and perplexity on standard output. */
export async function run(named: CommandOptions<"eval">): Promise<void> {
  const o = withBase(named);
  const model = openBase(o, warn);
  const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
  const progress = await Progress.open(showsBar());
  const tokenizer = await openTokenizer(o, warn);
  tellEnd(o, tokenizer, { ...STDERR, warn });
  const reading = { show: tokenising(progress), warn, note: STDERR.info };
  const texts = namedTexts(o.validation_file, "validation", o, reading);
  const { table, examples } = await readTokens(texts, tokenizer, model.config.vocabSize, o, reading);
  const batchSize = Math.min(o.per_device_eval_batch_size, examples.length);
  const spec = adapter?.spec ?? null;
  const options: EngineOptions = {
    precision: choosePrecision(o.precision, model),
    threads: threadCount(o.threads, warn),
    maxTokens: batchSize * o.max_seq_length,
    maxSequence: o.max_seq_length,
    cacheTokens: 0,
    training: false,
  };
  const advice = "Use a smaller --per_device_eval_batch_size or --max_seq_length.";
  const about = { what: "Evaluating", advice, copies: !o.share_weights };
  const planned = planInference({ model, adapter: spec, engine: options }, about);
  const creating = Engine.create(model, spec, planned.engine, loading(progress, STDERR));
  await using engine = await creating.finally(() => progress.stop());
  if (adapter) await engine.setAdapter(adapter.tensors);
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
