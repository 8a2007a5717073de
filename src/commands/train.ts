import { join, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { type World, worldOf } from "../base/ranks.js";
import { count } from "../base/text.js";
import { checkMergeable, checkModelOutput, type MergedParts } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import type { PushTarget } from "../hub/index.js";
import { BASE, type Engine, hasDevice, type Ranks, Slot } from "../native/index.js";
import { withoutFactors } from "../setup/adapter.js";
import { trainingFiles } from "../setup/dataset.js";
import { headersDo, located } from "../setup/hub.js";
import { aboutClassifier, readTrainingLabels, type TrainingLabels } from "../setup/labels.js";
import { namelessBase, pushAdapter, targetOfRun } from "../setup/push.js";
import { estimate } from "../setup/run/estimate.js";
import { RunFolder } from "../setup/run/folder.js";
import { checkOutput } from "../setup/run/output.js";
import { beginWith, planRun, prepareRun, type RunPlan, warnOf } from "../setup/run/prepare.js";
import { asRank, beginTogether, withAllMicroBatches } from "../setup/run/ranks.js";
import { AUTO, type Resumption } from "../setup/run/resume.js";
import { checkRunOptions, type Prepared, trainPrepared } from "../setup/run/train.js";
import { checkTextFiles, givenTemplates, type TrainingTexts } from "../setup/texts.js";
import type { TrainResult } from "../trainer/index.js";
import { uploading } from "./downloading.js";
import { type LivePage, livePage } from "./live-page.js";
import { mergeCommand, mergeInto, wantsMerge } from "./merge.js";
import { profileTable, writeTrace } from "./profile.js";
import { ahead, createEngine, type Found as FoundBy, openRunBase, readTexts } from "./run-parts.js";
import { TrainDisplay } from "./train-display.js";

type Options = CommandOptions<"train">;
type Found = FoundBy<Options>;

const mergedFolder = ({ output_dir }: Options) => `${resolve(output_dir)}_merged`;

/** A run that goes on by itself makes the merged model anew. */
const mayReplaceMerged = (o: Options) => o.overwrite_output_dir || o.resume === AUTO;

function checkFolders(o: Options, folder: RunFolder): void {
  folder.check();
  if (!o.merge) return;
  const allowed = mayReplaceMerged(o) ? "results" : "nothing";
  checkOutput(mergedFolder(o), allowed, [o.base_model, o.tokenizer_name]);
  checkModelOutput(mergedFolder(o), mayReplaceMerged(o));
}

function mergedParts({ model, adapter: { spec } }: RunPlan): MergedParts {
  return { model, modules: [...spec.targets, ...(spec.whole ?? [])], tokens: spec.tokens, biases: spec.bias };
}

function openPlan(
  o: Found,
  given: ReadonlySet<string>,
  labels: TrainingLabels | null,
  warn: (message: string) => void,
): RunPlan {
  return planRun(o, given, openRunBase(o, labels, warn));
}

/** One call of the command. */
interface Call {
  /** Set where this process is one of several ranks. */
  world: World | null;
  o: Found;
  /** The base and the tokenizer as they were named. */
  named: Options;
  folder: RunFolder;
  base: RunPlan;
  display: TrainDisplay;
  /** Finishes the step in progress and saves. */
  signal: AbortSignal;
  /** Where the adapter is pushed to. */
  target: PushTarget | undefined;
}

async function dryRun({ o, folder, base, display }: Call, reading: Promise<TrainingTexts>): Promise<void> {
  const resumption = await folder.findCheckpoint(display.warn, true);
  display.plan(base);
  warnOf(o, base, display.warn);
  const prepared = prepareRun(o, base, await reading, resumption, display.warn);
  display.texts(prepared.texts);
  base.checkMemory();
  const { device } = base.plan.engine;
  if (hasDevice(device)) display.estimate(await estimate(o, prepared), resumption);
  else display.log.info(`no estimate of the time: ${device} is not there`);
}

/** A rank that fails waits for no other. */
async function guarded(engine: Engine, world: World | null, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (world) engine.abandon();
    throw error;
  }
}

function ranksLine(o: Found, { size, sums }: Ranks): string {
  const { per_device_train_batch_size: rows, gradient_accumulation_steps: microBatches } = o;
  return `${size} ranks: a step has ${microBatches} micro-batches of ${count(rows)} row${rows === 1 ? "" : "s"}, of all ranks; gradients are summed ${sums}`;
}

/** A rank beside the first one: it trains, and shows and writes nothing. */
async function follow(call: Call, reading: Promise<TrainingTexts>): Promise<void> {
  const { base, display, signal } = call;
  const o = { ...call.o, output_dir: undefined };
  const { adapter, engine: options } = base.plan;
  const shape = { ...options, ...asRank(o) };
  await using engine = await ahead(createEngine(base.model, withoutFactors(adapter), shape, display, reading));
  await guarded(engine, call.world, async () => {
    const own = prepareRun(o, base, await reading, null, () => {});
    const begun = await beginTogether(engine, o, own, signal, display.warn);
    const trained = async () => {
      await engine.finishGroup();
      return false;
    };
    if (!begun) return void (await trained());
    await trainPrepared(o, begun.prepared, { engine, ranks: begun.ranks, report: () => {}, signal, trained });
  });
}

async function train(given: Call, reading: Promise<TrainingTexts>): Promise<void> {
  const page = await livePage(given.o, given.display, given.signal);
  try {
    await trainShown({ ...given, signal: page.signal }, page, reading);
  } finally {
    await page.close();
  }
}

async function trainShown(call: Call, page: LivePage, reading: Promise<TrainingTexts>): Promise<void> {
  const { o, folder, base, display, world } = call;
  // From here on no other run may change the checkpoints.
  const resumption = await folder.findCheckpoint(display.warn);
  display.plan(base);
  warnOf(o, base, display.warn);
  const { adapter, engine: options } = base.plan;
  const begun = resumption ? withoutFactors(adapter) : adapter;
  const shape = { ...options, profile: o.profile, ...(world && asRank(o)) };
  await using engine = await ahead(createEngine(base.model, begun, shape, display, reading));
  await guarded(engine, world, () => trainWith(engine, call, page, resumption, reading));
}

async function trainWith(
  engine: Engine,
  call: Call,
  page: LivePage,
  resumption: Resumption | null,
  reading: Promise<TrainingTexts>,
): Promise<void> {
  const { o, base, display, world } = call;
  const { signal } = page;
  const texts = await reading;
  const prepared = prepareRun(o, base, texts, resumption, display.warn);
  display.texts(texts);
  if (!world) signal.throwIfAborted();
  const begun = world ? await beginTogether(engine, o, prepared, signal, display.warn) : null;
  if (!world) await beginWith(engine, prepared, display.warn);
  else if (!begun) {
    await engine.finishGroup();
    // Or another rank alone was asked.
    signal.throwIfAborted();
    return display.log.info("stopped before the first step: nothing was trained");
  }
  const ranks = begun?.ranks;
  const warn = () => display.warn("finishing this step and saving; once more ends at once");
  if (signal.aborted) warn();
  else signal.addEventListener("abort", warn);
  if (ranks) display.log.info(ranksLine(o, ranks));
  if (resumption) display.log.info(`going on after step ${resumption.state.step} of ${resumption.folder}`);
  const begin = () => beginFolder(call, resumption);
  const trained = async ({ aborted, steps }: TrainResult) => {
    if (ranks) await engine.finishGroup();
    display.progress.stop();
    if (o.profile) await writeProfile(call, engine);
    display.log.info(`saved the adapter of ${aborted ? "the interrupted run" : "the run"} in ${o.output_dir}`);
    // Nothing new is to be seen of a run that was finished before.
    const isNew = steps !== resumption?.state.step;
    return !aborted && isNew && announceSamples(call, prepared);
  };
  const shown = { report: page.report, ...(page.between && { between: page.between }) };
  const work = { engine, ranks, base: new Slot(engine, BASE), ...shown, signal, begin, trained, since: 0 };
  const result = await trainPrepared(o, prepared, work);
  display.progress.stop();
  const unpushed = await pushResult(call, result.aborted);
  const unmerged = await mergeResult({ ...call, signal }, engine, prepared);
  if (unpushed && unmerged) display.warn(unpushed.message);
  display.end(result);
  const failure = unmerged ?? unpushed;
  if (failure) throw failure;
}

/** The error of a step after a run whose adapter is whole. */
function afterRun(
  error: unknown,
  { output_dir }: Pick<Options, "output_dir">,
  undone: "pushed" | "merged",
  remedy: string,
): LowrankError {
  const otherwise = undone === "pushed" ? "E_PUSH" : "E_MERGE";
  const { code, message, where } = error instanceof LowrankError ? error : new LowrankError(otherwise, String(error));
  const whole = `The adapter is saved in ${output_dir}, and was not ${undone}: ${message} ${remedy}`;
  return new LowrankError(code, whole, where, { cause: error });
}

function warnOfBase(o: Found, target: PushTarget, { warn }: TrainDisplay): void {
  const base = { named: o.origin?.name ?? resolve(o.base_model) };
  const nameless = namelessBase(base, target, o.output_dir);
  if (nameless !== undefined) warn(nameless);
}

/** @returns the error of a push that failed: the run is whole, and what is left of it is done first */
async function pushResult({ o, display, target }: Call, aborted: boolean): Promise<LowrankError | undefined> {
  if (target === undefined) return undefined;
  const later = `lowrank push ${o.output_dir} ${target.name}${o.hub_private_repo ? " --hub_private_repo" : ""}`;
  if (aborted) {
    display.warn(`the adapter of an interrupted run is not pushed; to push it: ${later}`);
    return undefined;
  }
  const { log, progress } = display;
  try {
    const work = { warn: () => {}, onProgress: uploading(progress, log) };
    const { url } = await pushAdapter(o.output_dir, target, work);
    log.info(`pushed the adapter to ${url}`);
    return undefined;
  } catch (error) {
    return afterRun(error, o, "pushed", `To push it: ${later}`);
  } finally {
    progress.stop();
  }
}

async function beginFolder({ folder, display: { log } }: Call, resumption: Resumption | null): Promise<void> {
  for (const later of await folder.begin(resumption)) log.verbose(`removed ${later}`);
  log.openFile(join(folder.path, "train.log"), resumption?.inPlace === true);
}

async function writeProfile({ folder, display: { log } }: Call, engine: Engine): Promise<void> {
  const profile = await engine.profile();
  const trace = join(folder.path, "profile.json");
  writeTrace(trace, profile);
  log.print(profileTable(profile));
  log.info(`wrote ${trace}`);
}

/** @returns whether there are any */
function announceSamples({ o, display }: Call, { texts }: Prepared): boolean {
  const samples = Math.min(o.num_samples, texts.validation.length);
  if (samples > 0) display.log.info(`writing ${count(samples)} sample${samples === 1 ? "" : "s"}`);
  return samples > 0;
}

/** @returns the error of a merge that failed */
async function mergeResult(call: Call, engine: Engine, { texts }: Prepared): Promise<LowrankError | undefined> {
  const { named, o, base, display, signal } = call;
  const folder = mergedFolder(named);
  if (signal.aborted || !(await wantsMerge(named, folder))) return undefined;
  const { log, progress } = display;
  const { tokenizer } = texts;
  const work = { ...mergedParts(base), engine, tokenizer, templates: givenTemplates(o, texts), log, progress };
  try {
    await mergeInto(folder, { ...work, overwrite: mayReplaceMerged(named) });
    return undefined;
  } catch (error) {
    return afterRun(error, named, "merged", `To merge it: ${mergeCommand(named, folder)}`);
  } finally {
    progress.stop();
  }
}

/**
 * `lowrank train`.
 * @param given options that the user named
 * @param signal finishes the step in progress, saves and returns
 */
export async function run(options: Options, given: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const world = worldOf();
  const isFirst = world === null || world.rank === 0;
  if (!isFirst && options.dry_run) return;
  const all = world ? withAllMicroBatches(options, world.size) : options;
  // The first rank alone writes.
  const own = isFirst ? all : { ...all, report_to: [], use_wandb: false, dashboard: false };
  checkRunOptions(own);
  // A classifier writes no texts, and its head is no part of a merged model.
  const named = own.task === "seq-cls" ? { ...own, num_samples: 0, merge: false } : own;
  if (named !== own && own.merge) throw new LowrankError("E_USAGE", "merge needs task causal-lm.", "merge");
  const folder = new RunFolder(named, [named.base_model, named.tokenizer_name, named.init_adapter]);
  if (!named.dry_run && isFirst) checkFolders(named, folder);
  const display = isFirst ? await TrainDisplay.open(named) : await TrainDisplay.silent(named);
  // Texts that are still being read at the end are abandoned.
  const ended = new AbortController();
  try {
    if (named.dry_run) display.warnInstead(() => checkFolders(named, folder));
    const target = isFirst ? await targetOfRun(named, signal) : undefined;
    if (target) display.log.info(`the adapter will be pushed to ${target.settings.endpoint}/${target.name}`);
    // A checkpoint's base is compared by its weights.
    const planned = named.dry_run && named.resume === undefined ? { headersDo } : {};
    const fetching = { ...display.fetching(signal, () => checkTextFiles(named)), ...planned };
    const files = await trainingFiles(named, fetching);
    const o = { ...(await located(named, fetching)), ...files };
    if (target) warnOfBase(o, target, display);
    const labels = o.task === "seq-cls" ? await readTrainingLabels(o) : null;
    const base = openPlan(o, given, labels, display.warn);
    if (labels) for (const line of aboutClassifier(base.model)) display.log.info(line);
    const checkMerge = () => o.merge && checkMergeable(mergedParts(base));
    if (o.dry_run) display.warnInstead(checkMerge);
    else checkMerge();
    if (!o.dry_run) base.checkMemory();
    const reading = ahead(readTexts(o, base.model, labels, display, AbortSignal.any([signal, ended.signal])));
    const work = o.dry_run ? dryRun : isFirst ? train : follow;
    await work({ world, o, named, folder, base, display, signal, target }, reading);
  } catch (error) {
    display.log.note(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    ended.abort();
    await display.close();
    folder.release();
  }
}
