import { readAdapter } from "../checkpoint/index.js";
import type { EvalOptions } from "../config/index.js";
import { readTexts, TextDataset, Tokenizer } from "../data/index.js";
import { Engine } from "../engine.js";
import { openModel } from "../model/index.js";
import { Progress, showsBar } from "../tracking/index.js";
import { evaluate } from "../trainer/index.js";
import { choosePrecision, everyRow, threadCount } from "./inputs.js";

/** `lowrank eval`: loss and perplexity on standard output. */
export async function run(o: EvalOptions): Promise<void> {
  const reading = Promise.all([
    Tokenizer.open(o.tokenizer_name ?? o.base_model),
    readTexts(o.validation_file, o.text_column),
  ]);
  reading.catch(() => {});
  const model = openModel(o.base_model);
  const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
  const [tokenizer, rows] = await reading;
  const batchSize = Math.min(o.per_device_eval_batch_size, rows.length);
  await using engine = await Engine.create(model, adapter?.spec ?? null, {
    precision: choosePrecision(o.precision, model),
    threads: threadCount(o.threads),
    maxTokens: batchSize * o.max_seq_length,
    maxSequence: o.max_seq_length,
    training: false,
  });
  if (adapter) await engine.setAdapter(adapter.tensors);
  const dataset = new TextDataset(rows, everyRow(rows), tokenizer, { maxLength: o.max_seq_length });
  const progress = await Progress.open(showsBar());
  progress.start("evaluating", Math.ceil(rows.length / batchSize));
  try {
    const found = await evaluate(engine, dataset, { batchSize, onProgress: (done) => progress.update(done) });
    progress.stop();
    const lines = Object.entries(found ?? {}).map(([name, value]) => `${name}: ${value}`);
    process.stdout.write(`${o.json ? JSON.stringify(found) : lines.join("\n")}\n`);
  } finally {
    progress.stop();
  }
}
