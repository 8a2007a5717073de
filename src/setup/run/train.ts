// A training run from its options, shared by the command and the library.
import { readFileSync } from "node:fs";
import { LowrankError } from "../../base/errors.js";
import type { Identity } from "../../checkpoint/index.js";
import { trainRows } from "../../config/index.js";
import { readEosIds } from "../../data/index.js";
import { repositoryOf } from "../../hub/index.js";
import { type AdapterEngine, kernelsOf, type ModelSource, type Precision, type Ranks } from "../../native/index.js";
import { ReportRecorder } from "../../report/index.js";
import { type Tracker, Trackers } from "../../tracking/trackers/index.js";
import {
  BestInMemory,
  generate,
  LARGER_IS_BETTER,
  type MatmulPeak,
  modelFlop,
  type Reporter,
  type RunResult,
  SAMPLE,
  Saver,
  samples,
  type TrainResult,
  type Turn,
  train,
} from "../../trainer/index.js";
import { type InitialAdapter, stopIds } from "../adapter.js";
import type { Plan } from "../memory/plan.js";
import type { MemorySettings } from "../memory/proposals.js";
import { readPrompt } from "../prompt.js";
import { givenTemplates, type TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";
import { reportFacts } from "./report.js";
import type { Resumption } from "./resume.js";
import { checkTrackers, trackersOf } from "./trackers.js";

/** Everything that a run is made of, checked, with nothing written yet. */
export interface Prepared {
  model: ModelSource;
  adapter: InitialAdapter;
  plan: Plan;
  texts: TrainingTexts;
  resumption: Resumption | null;
  settings: Identity;
}

/** The means of a prepared run. */
export interface RunWork {
  engine: AdapterEngine;
  /** The ranks that train together, if there are several. */
  ranks?: Ranks | undefined;
  report: Reporter;
  /** Finishes the step in progress, saves and ends. */
  signal: AbortSignal;
  /** Ends after the micro-batch in progress; nothing is saved. */
  abort?: AbortSignal | undefined;
  begin?: () => Promise<void>;
  /** Called between two steps. @param write goes on from a prompt */
  between?: (write: (prompt: string) => Promise<string>) => Promise<void>;
  /** Of a run beside others on one engine. */
  turn?: Turn | undefined;
  peak?: MatmulPeak | undefined;
  /** The base alone, for samples. */
  base?: AdapterEngine;
  /** When the run was begun, by `performance.now`; by default as it is called. */
  since?: number;
  /** After the last step. @returns whether samples are written */
  trained?: (result: TrainResult) => Promise<boolean>;
  /** Nothing more is computed: before the trackers end, one of which draws the report. @param error that ended the run, if any */
  computed?: (error: unknown) => Promise<void>;
}

/** The settings that decide how much memory a run needs. */
export function memorySettings(o: RunOptions, precision: Precision, adapter: InitialAdapter): MemorySettings {
  return {
    precision,
    batchSize: o.per_device_train_batch_size,
    accumulation: o.gradient_accumulation_steps,
    sequence: o.max_seq_length,
    rank: adapter.spec.rank,
    checkpointing: o.gradient_checkpointing,
    optimizer: o.optim,
  };
}

/** Whether the best checkpoint's adapter is the result. */
function loadsBest({ load_best_model_at_end: wanted, eval_strategy, save_strategy }: RunOptions): boolean {
  return wanted ?? (eval_strategy !== "no" && save_strategy !== "no");
}

/** @throws LowrankError E_USAGE naming options that make no sense together */
export function checkRunOptions(o: RunOptions): void {
  const needs: string[] = [];
  const need = (option: string, holds: boolean, what: string) => {
    if (!holds) needs.push(`${option} needs ${what}`);
  };
  const evaluates = o.eval_strategy !== "no";
  if (o.load_best_model_at_end === true) {
    need("load_best_model_at_end", evaluates, "eval_strategy steps or epoch");
    need("load_best_model_at_end", o.save_strategy !== "no", "save_strategy steps or epoch");
  }
  if (o.early_stopping_patience !== undefined)
    need("early_stopping_patience", evaluates, "eval_strategy steps or epoch");
  const classifies = o.task === "seq-cls";
  if (LARGER_IS_BETTER.includes(o.metric_for_best_model))
    need("metric_for_best_model", classifies, "task seq-cls, for this metric");
  for (const name of ["label_column", "text_pair_column", "truncation_side", "problem_type"] as const) {
    if (o[name] !== undefined) need(name, classifies, "task seq-cls");
  }
  if (classifies) {
    if (o.long_text === "chunk")
      needs.push("long_text chunk needs task causal-lm: a text that is classified is one example");
    for (const name of ["packing", "pad_to_max_length"] as const) {
      if (o[name]) needs.push(`${name} needs task causal-lm: texts that are classified are neither packed nor padded`);
    }
    for (const name of ["chat_template", "template_date", "loss_on"] as const) {
      if (o[name] !== undefined)
        needs.push(`${name} needs task causal-lm: texts that are classified are no conversations`);
    }
    if (o.data_format !== "auto" && o.data_format !== "text")
      needs.push(
        `data_format ${o.data_format} needs task causal-lm: texts that are classified are columns of the rows`,
      );
    if (o.metric_for_best_model === "eval_perplexity")
      needs.push("metric_for_best_model eval_perplexity needs task causal-lm");
  }
  if (needs.length > 0) throw new LowrankError("E_USAGE", `${needs.join("; ")}.`);
  checkTrackers(o);
}

/** The most memory that the process has had resident. */
function peakMemory(): number {
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(found?.[1] ?? process.resourceUsage().maxRSS) * 1024;
}

/**
 * Trains, and feeds the trackers of the run.
 * @param work with an engine that holds the beginning of the run
 */
export async function trainPrepared(o: RunOptions, prepared: Prepared, work: RunWork): Promise<RunResult> {
  const trackers = new Trackers(await trackersFor(o, prepared, work));
  const report: Reporter = async (event) => {
    trackers.event(event);
    await tellNews();
    await work.report(event);
  };
  const tellNews = async () => {
    for (const message of trackers.takeWarnings()) await work.report({ type: "warning", message });
    for (const message of trackers.takeNews()) await work.report({ type: "tracker", message });
  };
  const begin = async () => {
    await work.begin?.();
    trackers.start({ history: prepared.resumption?.history ?? [] });
  };
  let result: RunResult;
  let failure: unknown;
  try {
    const trained = await trainEngine(o, prepared, { ...work, report, begin });
    const memory = { peak_memory_bytes: peakMemory(), planned_memory_bytes: prepared.plan.memory.totalBytes };
    result = { ...trained, summary: { ...trained.summary, ...memory } };
    if (await work.trained?.(trained)) await reportSamples(o, prepared, { ...work, report });
    trackers.event({ type: "end", ...result });
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    await work.computed?.(failure);
    // The report is drawn in the place of the buffers. What has failed may have taken the engine with it.
    await work.engine.trim().catch(() => {});
    await trackers.end();
  }
  await tellNews();
  return result;
}

/** The trackers that the options ask for, and the report; none where a run writes nothing. */
async function trackersFor(o: RunOptions, prepared: Prepared, work: RunWork): Promise<Tracker[]> {
  const { output_dir } = o;
  const config = configOf(o, prepared);
  const trackers = trackersOf(o, config);
  if (output_dir === undefined) return trackers;
  const since = work.since ?? performance.now();
  const facts = await reportFacts({ ...o, output_dir }, prepared, config);
  return [...trackers, new ReportRecorder(output_dir, facts, since, work.turn?.now)];
}

/** The settings of a run that trackers show. */
function configOf(o: RunOptions, { model, settings }: Prepared): Record<string, unknown> {
  const options = Object.keys(trainRows).map((name) => [name, o[name as keyof RunOptions]]);
  const base_model = model.origin?.name ?? model.folder;
  const { precision, use_4bit = false, use_8bit = false, quant_type } = settings;
  return { base_model, ...Object.fromEntries(options), precision, use_4bit, use_8bit, quant_type };
}

async function trainEngine(o: RunOptions, prepared: Prepared, work: RunWork): Promise<TrainResult> {
  const { model, adapter, texts, resumption, settings } = prepared;
  const { tokenizer, training, validation } = texts;
  const { engine, report } = work;
  const limit = o.save_total_limit === 0 ? null : o.save_total_limit;
  const identity = { settings, cpu: kernelsOf(prepared.plan.engine.device) };
  const dataset = o.dataset_name === undefined ? undefined : repositoryOf(o.dataset_name, "dataset")?.name;
  const keeper =
    o.output_dir === undefined
      ? new BestInMemory(engine, report, o.metric_for_best_model)
      : new Saver({
          ...{ engine, model, tokenizer, adapter, report, limit, identity },
          folder: o.output_dir,
          templates: givenTemplates(o, texts),
          texts: { dataset, training: training.counts, validation: validation.counts },
          metric: o.metric_for_best_model,
          resume: resumption ?? undefined,
        });
  const { between } = work;
  return train({
    ...work,
    between: between && (() => between((prompt) => continuation(o, prepared, engine, prompt))),
    modelFlop: modelFlop(model, adapter.spec),
    training,
    validation,
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
    loraplusLrRatio: o.loraplus_lr_ratio ?? 1,
    maxGradNorm: o.max_grad_norm,
    lossScaling: settings.precision === "fp16" ? { initial: o.loss_scale, window: o.loss_scale_window } : undefined,
    shuffle: o.shuffle,
    groupByLength: o.group_by_length,
    seed: o.seed,
    loggingSteps: o.logging_steps,
    evaluating: { strategy: o.eval_strategy, every: o.eval_steps },
    saving: { strategy: o.save_strategy, every: o.save_steps },
    metric: o.metric_for_best_model,
    earlyStopping:
      o.early_stopping_patience === undefined
        ? undefined
        : { patience: o.early_stopping_patience, threshold: o.early_stopping_threshold },
    loadBest: loadsBest(o),
    resume: resumption?.state,
    saver: keeper,
  });
}

/** The model's continuation of a prompt, as far as a run's samples have room. @throws LowrankError E_PROMPT, E_CONTEXT */
async function continuation(o: RunOptions, prepared: Prepared, engine: AdapterEngine, prompt: string): Promise<string> {
  const { model, texts, plan } = prepared;
  const { maxSequence, cacheTokens = maxSequence } = plan.engine;
  if (cacheTokens === 0)
    throw new LowrankError("E_USAGE", "The run has no room for samples: num_samples is 0.", "num_samples");
  const read = await readPrompt(prompt, o.sample_max_new_tokens, texts.tokenizer, cacheTokens, "the room for samples");
  const { temperature, topP } = SAMPLE;
  const stops = stopIds(readEosIds(model.folder), texts.tokenizer);
  const sampling = { temperature, topP, topK: 0, seed: o.seed, maxNewTokens: read.maxNewTokens, stopIds: stops };
  let text = "";
  for await (const piece of generate(engine, texts.tokenizer, read.ids, sampling)) text += piece;
  return text;
}

/** Reports the trained model's continuations of the beginnings of some validation texts. */
async function reportSamples(
  o: RunOptions,
  { model, texts, plan }: Prepared,
  { engine, base, signal, abort, report }: RunWork,
): Promise<void> {
  const { tokenizer, validation } = texts;
  const items = Array.from({ length: Math.min(o.num_samples, validation.length) }, (_, i) => i);
  const prompts = items.map((item) => validation.beginning(item, SAMPLE.promptTokens));
  // Not more than there is a cache for.
  const { maxSequence, cacheTokens = maxSequence } = plan.engine;
  const ends = stopIds(readEosIds(model.folder), tokenizer);
  const ended = AbortSignal.any(abort ? [signal, abort] : [signal]);
  const events = samples(engine, tokenizer, {
    prompts,
    seed: o.seed,
    maxNewTokens: o.sample_max_new_tokens,
    maxSequence: cacheTokens,
    stopIds: ends,
    base: o.sample_base ? base : undefined,
    signal: ended,
  });
  for await (const event of events) {
    abort?.throwIfAborted();
    await report(event);
  }
  abort?.throwIfAborted();
}
