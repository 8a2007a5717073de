import { join } from "node:path";
import type { TrainOptions } from "../config/index.js";
import { readEosIds, readTexts, splitValidation, TextDataset, type TextRows, Tokenizer } from "../data/index.js";
import { Engine, type ModelSource } from "../engine.js";
import { modelDtype, openModel } from "../model/index.js";
import { Log, Metrics, Progress, showsBar } from "../tracking/index.js";
import { SAMPLE, Saver, samples, train } from "../trainer/index.js";
import { availableMemory } from "./available-memory.js";
import { choosePrecision, everyRow, type InitialAdapter, initialAdapter, stopIds, threadCount } from "./inputs.js";
import { mergeInto, wantsMerge } from "./merge.js";
import { beginOutput, checkOutput } from "./output.js";
import {
  mappedWarning,
  memoryTable,
  type Plan,
  Planner,
  parameterCounts,
  type Settings,
  trainableLine,
} from "./plan.js";
import { reporter, type Tracking } from "./report.js";
import { count } from "./text.js";

const VALIDATION_SHARE = 0.1;

/** Some rows of the texts. */
interface Part {
  rows: TextRows;
  indices: Int32Array;
}

interface Texts {
  tokenizer: Tokenizer;
  training: Part;
  validation: Part;
}

async function readInputs(o: TrainOptions): Promise<Texts> {
  const [tokenizer, rows, held] = await Promise.all([
    Tokenizer.open(o.tokenizer_name ?? o.base_model),
    readTexts([o.train_file], o.text_column),
    o.validation_file === undefined ? null : readTexts([o.validation_file], o.text_column),
  ]);
  if (held) {
    const training = { rows, indices: everyRow(rows) };
    return { tokenizer, training, validation: { rows: held, indices: everyRow(held) } };
  }
  const { train, validation } = splitValidation(rows.length, VALIDATION_SHARE, o.seed);
  return { tokenizer, training: { rows, indices: train }, validation: { rows, indices: validation } };
}

/** Everything that a run is made of, checked, with nothing written yet. */
interface Prepared {
  model: ModelSource;
  adapter: InitialAdapter;
  plan: Plan;
  texts: Texts;
}

function printPlan(log: Log, o: TrainOptions, model: ModelSource, { adapter, engine, memory }: Plan): void {
  const why = o.precision === "auto" ? `, chosen for a base stored in ${modelDtype(model)}` : "";
  log.info(`precision ${engine.precision}${why}; ${engine.threads} threads`);
  log.print(trainableLine(parameterCounts(model, adapter)));
  log.print(memoryTable(memory));
  const warning = mappedWarning(memory, availableMemory());
  if (warning) log.warn(warning);
  if (o.max_seq_length > model.config.maxPositions) {
    log.warn(
      `--max_seq_length ${o.max_seq_length} is more than the ${model.config.maxPositions} tokens that the base model was made for`,
    );
  }
}

function openTrackingFiles(tracking: Tracking, folder: string): void {
  beginOutput(folder);
  tracking.log.openFile(join(folder, "train.log"));
  tracking.metrics = new Metrics(join(folder, "metrics.jsonl"));
}

async function writeSamples(o: TrainOptions, prepared: Prepared, engine: Engine, log: Log, signal: AbortSignal) {
  const { tokenizer, validation } = prepared.texts;
  const texts = Array.from(validation.indices.subarray(0, SAMPLE.count), (row) => validation.rows.text(row));
  const options = {
    texts,
    seed: o.seed,
    maxSequence: prepared.plan.engine.maxSequence,
    stopIds: stopIds(readEosIds(o.base_model), tokenizer),
    signal,
  };
  let n = 0;
  for await (const { prompt, text } of samples(engine, tokenizer, options)) {
    log.print(`\nSample ${++n}\n  prompt: ${prompt}\n  continuation: ${text}`);
  }
}

async function runPrepared(
  o: TrainOptions,
  prepared: Prepared,
  engine: Engine,
  tracking: Tracking,
  signal: AbortSignal,
) {
  const { model, adapter, texts } = prepared;
  const { tokenizer, training, validation } = texts;
  if (adapter.tensors) await engine.setAdapter(adapter.tensors);
  const tokenised = { maxLength: o.max_seq_length, ...(o.pad_to_max_length ? { padTo: o.max_seq_length } : {}) };
  const dataset = ({ rows, indices }: Part) => new TextDataset(rows, indices, tokenizer, tokenised);
  const report = reporter(tracking);
  const result = await train({
    engine,
    training: dataset(training),
    validation: dataset(validation),
    where: (row) => training.rows.where(row),
    batchSize: o.per_device_train_batch_size,
    evalBatchSize: o.per_device_eval_batch_size,
    accumulation: o.gradient_accumulation_steps,
    epochs: o.num_train_epochs,
    maxSteps: o.max_steps,
    learningRate: o.learning_rate,
    scheduler: o.lr_scheduler,
    warmupRatio: o.warmup_ratio,
    warmupSteps: o.warmup_steps,
    weightDecay: o.weight_decay,
    maxGradNorm: o.max_grad_norm,
    shuffle: o.shuffle,
    seed: o.seed,
    loggingSteps: o.logging_steps,
    evalSteps: o.eval_steps,
    saveSteps: o.save_steps,
    saver: new Saver({
      engine,
      model,
      tokenizer,
      adapter,
      folder: o.output_dir,
      limit: o.save_total_limit === 0 ? null : o.save_total_limit,
      report,
    }),
    report,
    begin: () => openTrackingFiles(tracking, o.output_dir),
    signal,
  });
  tracking.progress.stop();
  return result;
}

/**
 * `lowrank train`.
 * @param given options that the user named
 * @param signal finishes the step in progress, saves and returns
 */
export async function run(o: TrainOptions, given: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const merged = `${o.output_dir}_merged`;
  checkOutput(o.output_dir, o.overwrite_output_dir, [o.base_model, o.tokenizer_name, o.init_adapter]);
  if (o.merge) checkOutput(merged, o.overwrite_output_dir, [o.base_model, o.tokenizer_name]);
  const reading = readInputs(o);
  // Awaited below; until then its failure is nobody's.
  reading.catch(() => {});

  const model = openModel(o.base_model);
  const adapter = initialAdapter(o, given, model);
  const planner = new Planner(model, adapter.spec, threadCount(o.threads));
  const settings: Settings = {
    precision: choosePrecision(o.precision, model),
    batchSize: Math.max(o.per_device_train_batch_size, o.per_device_eval_batch_size),
    accumulation: o.gradient_accumulation_steps,
    sequence: o.max_seq_length,
  };
  const plan = planner.plan(settings);
  if (!o.dry_run) planner.check(plan, settings);

  const progress = await Progress.open(showsBar());
  const log = new Log({ level: progress.shown ? "info" : "verbose", beforeLine: () => progress.clearLine() });
  const tracking: Tracking = { log, progress, metrics: null };
  try {
    printPlan(log, o, model, plan);
    if (o.dry_run) {
      await reading;
      planner.check(plan, settings);
      return;
    }
    const creating = Engine.create(model, adapter.spec, plan.engine);
    creating.catch(() => {});
    const texts = await reading;
    await using engine = await creating;
    const { training, validation } = texts;
    log.info(`${count(training.indices.length)} texts to train on, ${count(validation.indices.length)} to evaluate on`);
    signal.throwIfAborted();
    const prepared = { model, adapter, plan, texts };
    const result = await runPrepared(o, prepared, engine, tracking, signal);
    log.info(`saved the adapter of ${result.aborted ? "the interrupted run" : "the run"} in ${o.output_dir}`);
    if (result.aborted) return;
    await writeSamples(o, prepared, engine, log, signal);
    if (!signal.aborted && (await wantsMerge(o.merge, merged))) {
      const work = { engine, model, modules: adapter.spec.targets, tokenizer: texts.tokenizer, progress, log };
      await mergeInto(merged, { ...work, overwrite: o.overwrite_output_dir });
    }
  } catch (error) {
    log.note(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    progress.stop();
    await log.close();
    tracking.metrics?.close();
  }
}
