import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { removeLater } from "../checkpoint/index.js";
import type { TrainOptions } from "../config/index.js";
import { Engine, type ModelSource } from "../engine.js";
import { modelDtype } from "../model/index.js";
import { memoryLimits } from "../setup/available-memory.js";
import { openBase } from "../setup/base.js";
import { choosePrecision, initialAdapter, threadCount } from "../setup/inputs.js";
import { OutputLock } from "../setup/lock.js";
import { beginOutput, checkOutput } from "../setup/output.js";
import { type Plan, Planner, parameterCounts, trainableLine } from "../setup/plan.js";
import { checkAgreement, findCheckpoint, liesIn, type Resumption } from "../setup/resume.js";
import { mappedWarning, memoryTable } from "../setup/room.js";
import { runSettings } from "../setup/settings.js";
import { count } from "../setup/text.js";
import { openTokenizer, type Reading, readTrainingTexts, type TrainingTexts } from "../setup/token-texts.js";
import { checkRunOptions, memorySettings, trainedSamples, trainPrepared } from "../setup/training.js";
import { Log, Metrics, Progress, showsBar } from "../tracking/index.js";
import type { TrainerEvent } from "../trainer/index.js";
import { loading } from "./loading.js";
import { mergeInto, wantsMerge } from "./merge.js";
import { profileTable, writeTrace } from "./profile.js";
import { reporter, type Tracking } from "./report.js";
import { tokenising } from "./tokenising.js";
import { warn } from "./warn.js";

function printPlan(log: Log, o: TrainOptions, model: ModelSource, { adapter, engine, memory }: Plan): void {
  const why = o.precision === "auto" ? `, chosen for a base stored in ${modelDtype(model)}` : "";
  log.info(`precision ${engine.precision}${why}; ${engine.threads} threads`);
  log.print(trainableLine(parameterCounts(model, adapter)));
  log.print(memoryTable(memory));
  const warning = mappedWarning(memory, memoryLimits(o.memory_limit));
  if (warning) log.warn(warning);
  if (o.max_seq_length > model.config.maxPositions) {
    log.warn(
      `--max_seq_length ${o.max_seq_length} is more than the ${model.config.maxPositions} tokens that the base model was made for`,
    );
  }
}

/** Makes the output folder this run's: empty of earlier results, or cut back to the checkpoint that it goes on from. */
async function openOutput(tracking: Tracking, folder: string, resumption: Resumption | null): Promise<void> {
  const { log } = tracking;
  const goesOn = resumption?.inPlace === true;
  if (goesOn) {
    for (const later of await removeLater(folder, resumption.state.step)) log.verbose(`removed ${later}`);
  } else {
    beginOutput(folder);
  }
  log.openFile(join(folder, "train.log"), goesOn);
  tracking.metrics = new Metrics(join(folder, "metrics.jsonl"), resumption?.history);
}

/**
 * `lowrank train`.
 * @param given options that the user named
 * @param signal finishes the step in progress, saves and returns
 */
export async function run(o: TrainOptions, given: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  checkRunOptions(o);
  const lock = new OutputLock(o.output_dir);
  try {
    lock.check();
    await runLocked(o, given, signal, lock);
  } finally {
    lock.release();
  }
}

async function readTexts(o: TrainOptions, reading: Reading): Promise<TrainingTexts> {
  return readTrainingTexts(o, await openTokenizer(o, warn), reading);
}

async function runLocked(o: TrainOptions, given: ReadonlySet<string>, signal: AbortSignal, lock: OutputLock) {
  const merged = `${resolve(o.output_dir)}_merged`;
  const inPlace = o.resume !== undefined && liesIn(o.resume, o.output_dir);
  const check = () => {
    const inputs = [o.base_model, o.tokenizer_name, o.init_adapter, inPlace ? undefined : o.resume];
    checkOutput(o.output_dir, o.overwrite_output_dir || inPlace, inputs);
  };
  check();
  if (o.merge) checkOutput(merged, o.overwrite_output_dir, [o.base_model, o.tokenizer_name]);
  const model = openBase(o, warn);
  const adapter = initialAdapter(o, given, model);
  const planner = new Planner(model, adapter.spec, threadCount(o.threads), o.tokenizer_name ?? o.base_model, true);
  const settings = memorySettings(o, choosePrecision(o.precision, model), adapter);
  const plan = planner.plan(settings, o.share_weights ? undefined : memoryLimits(o.memory_limit));
  const checkMemory = () => planner.check(plan, settings, adapter.tensors !== null, memoryLimits(o.memory_limit));
  if (!o.dry_run) checkMemory();

  const progress = await Progress.open(showsBar());
  const results = o.json ? process.stderr : process.stdout;
  const beforeLine = () => progress.clearLine();
  const log = new Log({ level: progress.shown ? "info" : "verbose", results, beforeLine });
  const tell = (event: object) => {
    if (o.json) process.stdout.write(`${JSON.stringify(event)}\n`);
  };
  const tracking: Tracking = { log, progress, metrics: null };
  const ended = new AbortController();
  try {
    const reading = readTexts(o, { show: tokenising(progress, log), signal: AbortSignal.any([signal, ended.signal]) });
    // Awaited below; until then its failure is nobody's.
    reading.catch(() => {});
    // From here on no other run may change the checkpoints.
    if (inPlace && !o.dry_run && existsSync(o.output_dir)) lock.take();
    const warn = (message: string) => log.warn(message);
    const resumption = o.resume === undefined ? null : await findCheckpoint(o.resume, o.output_dir, warn);
    printPlan(log, o, model, plan);
    const { precision, threads } = plan.engine;
    tell({ type: "plan", precision, threads, memory: plan.memory, parameters: parameterCounts(model, plan.adapter) });
    const agreed = (texts: TrainingTexts) => {
      const found = runSettings(o, { model, spec: adapter.spec, precision: settings.precision, texts });
      if (resumption) checkAgreement(resumption, found, warn);
      return found;
    };
    if (o.dry_run) {
      agreed(await reading);
      checkMemory();
      return;
    }
    // While texts are read, the bar is theirs.
    let isRead = false;
    const shown = loading(progress, log, () => isRead);
    const creating = Engine.create(model, adapter.spec, { ...plan.engine, profile: o.profile }, shown);
    creating.catch(() => {});
    const texts = await reading;
    isRead = true;
    await using engine = await creating;
    const runs = agreed(texts);
    const { training, validation } = texts;
    const packed = o.packing ? ` in ${count(training.length)} packs` : "";
    log.info(`${count(training.examples)} texts to train on${packed}, ${count(validation.examples)} to evaluate on`);
    signal.throwIfAborted();
    signal.addEventListener("abort", () => log.warn("finishing this step and saving; once more ends at once"));
    if (resumption) log.info(`going on after step ${resumption.state.step} of ${resumption.folder}`);
    const prepared = { model, adapter, plan, texts, resumption, settings: runs };
    const begin = async () => {
      lock.take();
      // Another run may have been here while this one read its texts.
      if (!inPlace) check();
      await openOutput(tracking, o.output_dir, resumption);
    };
    const show = reporter(tracking);
    const report = async (event: TrainerEvent) => {
      await show(event);
      if (event.type !== "evaluating") tell(event);
    };
    const work = { engine, report, signal, begin };
    const result = await trainPrepared(o, prepared, work);
    const { aborted } = result;
    progress.stop();
    if (o.profile) {
      const profile = await engine.profile();
      const trace = join(o.output_dir, "profile.json");
      writeTrace(trace, profile);
      log.print(profileTable(profile));
      log.info(`wrote ${trace}`);
    }
    log.info(`saved the adapter of ${aborted ? "the interrupted run" : "the run"} in ${o.output_dir}`);
    if (!aborted) {
      for await (const sample of trainedSamples(o, prepared, engine, signal)) await report({ type: "sample", sample });
    }
    if (!signal.aborted && (await wantsMerge(o.merge, merged))) {
      const merge = { engine, model, modules: adapter.spec.targets, tokenizer: texts.tokenizer, progress, log };
      await mergeInto(merged, { ...merge, overwrite: o.overwrite_output_dir });
    }
    tell({ type: "end", ...result, output_dir: o.output_dir });
  } catch (error) {
    log.note(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    // What is still being read is for nobody.
    ended.abort();
    progress.stop();
    await log.close();
    tracking.metrics?.close();
  }
}
