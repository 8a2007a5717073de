import { join, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { count } from "../base/text.js";
import type { CommandOptions } from "../config/index.js";
import { modelDtype } from "../model/index.js";
import { Engine, type ModelSource } from "../native/index.js";
import { choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import { type Plan, parameterCounts, trainableLine } from "../setup/memory/plan.js";
import { memoryTable } from "../setup/memory/room.js";
import { estimate } from "../setup/run/estimate.js";
import { RunFolder } from "../setup/run/folder.js";
import { checkOutput } from "../setup/run/output.js";
import { beginWith, planRun, prepareRun, type RunPlan, warnOf } from "../setup/run/prepare.js";
import { AUTO, type Resumption } from "../setup/run/resume.js";
import { checkRunOptions, type Prepared, trainedSamples, trainPrepared } from "../setup/run/train.js";
import { openTokenizer, packingHint, readTrainingTexts, type TrainingTexts, tellEnd } from "../setup/texts.js";
import { Log, Progress, showsBar } from "../tracking/index.js";
import type { RunResult, TrainerEvent } from "../trainer/index.js";
import { loading } from "./loading.js";
import { mergeInto, wantsMerge } from "./merge.js";
import { profileTable, writeTrace } from "./profile.js";
import { duration, reporter, summaryLine, type Tracking } from "./report.js";
import { tokenising } from "./tokenising.js";

function printPlan(log: Log, o: CommandOptions<"train">, model: ModelSource, { adapter, engine, memory }: Plan): void {
  const why = o.precision === "auto" ? `, chosen for a base stored in ${modelDtype(model)}` : "";
  log.info(`precision ${engine.precision}${why}; ${engine.threads} threads`);
  log.print(trainableLine(parameterCounts(model, adapter)));
  log.print(memoryTable(memory));
}

function openPlan(o: CommandOptions<"train">, given: ReadonlySet<string>, warn: (message: string) => void): RunPlan {
  const model = openBase(o, warn);
  return planRun(o, given, {
    model,
    precision: choosePrecision(o.precision, model),
    threads: threadCount(o.threads, warn),
    tokenizer: o.tokenizer_name ?? o.base_model,
    sharesWeights: o.share_weights,
    samplesOnly: true,
  });
}

/** One call of the command. */
class TrainCommand {
  readonly #o: CommandOptions<"train">;
  readonly #signal: AbortSignal;
  readonly #folder: RunFolder;
  readonly #base: RunPlan;
  readonly #tracking: Tracking;
  /** Where the merged model goes. */
  readonly #merged: string;

  constructor(o: CommandOptions<"train">, signal: AbortSignal, folder: RunFolder, base: RunPlan, tracking: Tracking) {
    this.#o = o;
    this.#signal = signal;
    this.#folder = folder;
    this.#base = base;
    this.#tracking = tracking;
    this.#merged = mergedFolder(o);
  }

  /** For programs, where they want it. */
  #tell(event: object): void {
    if (this.#o.json) process.stdout.write(`${JSON.stringify(event)}\n`);
  }

  async run(): Promise<void> {
    const { log, progress } = this.#tracking;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#signal, ended.signal]);
    try {
      const reading = this.#read(signal);
      // Awaited below; until then its failure is nobody's.
      reading.catch(() => {});
      if (this.#o.dry_run) await this.#dryRun(reading);
      else await this.#train(reading);
    } catch (error) {
      log.note(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      // What is still being read is for nobody.
      ended.abort();
      progress.stop();
    }
  }

  async #read(signal: AbortSignal): Promise<TrainingTexts> {
    const { log, progress } = this.#tracking;
    const tokenizer = await openTokenizer(this.#o, this.#warn);
    tellEnd(this.#o, tokenizer, log);
    const show = tokenising(progress, log);
    const { vocabSize } = this.#base.model.config;
    const texts = await readTrainingTexts(this.#o, tokenizer, vocabSize, {
      show,
      warn: this.#warn,
      note: (line) => log.info(line),
      signal,
    });
    const hint = packingHint(texts, this.#o);
    if (hint) log.info(hint);
    return texts;
  }

  #showPlan(): void {
    const { model, plan } = this.#base;
    printPlan(this.#tracking.log, this.#o, model, plan);
    warnOf(this.#o, this.#base, this.#warn);
    const { precision, threads } = plan.engine;
    const parameters = parameterCounts(model, plan.adapter);
    this.#tell({ type: "plan", precision, threads, memory: plan.memory, parameters });
  }

  #showTexts({ training, validation }: TrainingTexts): void {
    const packed = this.#o.packing ? ` in ${count(training.length)} packs` : "";
    const texts = `${count(training.examples)} texts to train on${packed}, ${count(validation.examples)} to evaluate on`;
    this.#tracking.log.info(texts);
  }

  async #dryRun(reading: Promise<TrainingTexts>): Promise<void> {
    const { log } = this.#tracking;
    const resumption = await this.#folder.findCheckpoint(this.#warn, true);
    this.#showPlan();
    const prepared = prepareRun(this.#o, this.#base, await reading, resumption, this.#warn);
    this.#showTexts(prepared.texts);
    this.#base.checkMemory();
    const { steps, warmup, seconds, timedSteps } = await estimate(this.#o, prepared);
    log.info(`${count(steps.total)} steps, ${count(steps.perEpoch)} an epoch, ${count(warmup)} of warmup`);
    if (resumption) log.info(`it would go on after step ${resumption.state.step} of ${resumption.folder}`);
    const [about, by] =
      timedSteps > 0
        ? ["about", `by ${timedSteps === 1 ? "a step" : `${timedSteps} steps`} timed here and now`]
        : ["at least about", "at 80 % of the speed of a matrix product here and now"];
    log.info(`${about} ${duration(seconds)}: ${by}, without loading, saving and samples`);
    this.#tell({ type: "dry_run", steps: steps.total, steps_per_epoch: steps.perEpoch, warmup_steps: warmup, seconds });
  }

  async #train(reading: Promise<TrainingTexts>): Promise<void> {
    const { log, progress } = this.#tracking;
    // From here on no other run may change the checkpoints.
    const resumption = await this.#folder.findCheckpoint(this.#warn);
    this.#showPlan();
    const { model, plan } = this.#base;
    // While texts are read, the bar is theirs.
    let isRead = false;
    const shown = loading(progress, log, () => isRead);
    const creating = Engine.create(model, plan.adapter, { ...plan.engine, profile: this.#o.profile }, shown);
    creating.catch(() => {});
    const texts = await reading;
    isRead = true;
    await using engine = await creating;
    const prepared = prepareRun(this.#o, this.#base, texts, resumption, this.#warn);
    this.#showTexts(texts);
    this.#signal.throwIfAborted();
    this.#signal.addEventListener("abort", () => log.warn("finishing this step and saving; once more ends at once"));
    await beginWith(engine, prepared);
    if (resumption) log.info(`going on after step ${resumption.state.step} of ${resumption.folder}`);
    await this.#trainWith(engine, prepared);
  }

  async #trainWith(engine: Engine, prepared: Prepared): Promise<void> {
    const o = this.#o;
    const { log, progress } = this.#tracking;
    const show = reporter(this.#tracking);
    const report = async (event: TrainerEvent) => {
      await show(event);
      if (event.type !== "evaluating" && event.type !== "sampling") this.#tell(event);
    };
    const begin = () => this.#begin(prepared.resumption);
    const result = await trainPrepared(o, prepared, { engine, report, signal: this.#signal, begin });
    const { aborted } = result;
    progress.stop();
    if (o.profile) await this.#profile(engine);
    log.info(`saved the adapter of ${aborted ? "the interrupted run" : "the run"} in ${o.output_dir}`);
    // Nothing new is to be seen of a run that was finished before.
    const isNew = result.steps !== prepared.resumption?.state.step;
    if (!aborted && isNew) await this.#samples(engine, prepared, report);
    await this.#merge(engine, prepared);
    this.#end(result);
  }

  async #samples(engine: Engine, prepared: Prepared, report: (event: TrainerEvent) => Promise<void>): Promise<void> {
    const { log, progress } = this.#tracking;
    const samples = Math.min(this.#o.num_samples, prepared.texts.validation.length);
    if (samples === 0) return;
    log.info(`writing ${count(samples)} sample${samples === 1 ? "" : "s"}`);
    for await (const event of trainedSamples(this.#o, prepared, engine, this.#signal)) await report(event);
    progress.stop();
  }

  async #begin(resumption: Resumption | null): Promise<void> {
    const { log } = this.#tracking;
    for (const later of await this.#folder.begin(resumption)) log.verbose(`removed ${later}`);
    log.openFile(join(this.#folder.path, "train.log"), resumption?.inPlace === true);
  }

  async #profile(engine: Engine): Promise<void> {
    const { log } = this.#tracking;
    const profile = await engine.profile();
    const trace = join(this.#folder.path, "profile.json");
    writeTrace(trace, profile);
    log.print(profileTable(profile));
    log.info(`wrote ${trace}`);
  }

  async #merge(engine: Engine, { texts }: Prepared): Promise<void> {
    if (this.#signal.aborted || !(await wantsMerge(this.#o, this.#merged))) return;
    const { model, adapter } = this.#base;
    const merge = { engine, model, modules: adapter.spec.targets, tokenizer: texts.tokenizer, ...this.#tracking };
    await mergeInto(this.#merged, { ...merge, overwrite: mayReplaceMerged(this.#o) });
  }

  #end(result: RunResult): void {
    this.#tracking.log.info(summaryLine(result.summary));
    this.#tell({ type: "end", ...result, output_dir: this.#o.output_dir });
  }

  readonly #warn = (message: string): void => this.#tracking.log.warn(message);
}

const mergedFolder = ({ output_dir }: CommandOptions<"train">) => `${resolve(output_dir)}_merged`;

/** A run that goes on by itself makes the merged model anew. */
const mayReplaceMerged = (o: CommandOptions<"train">) => o.overwrite_output_dir || o.resume === AUTO;

/** What would refuse the run itself is no obstacle to a look at it. */
function tellOf(check: () => void, log: Log): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof LowrankError)) throw error;
    log.warn(error.message);
  }
}

/**
 * `lowrank train`.
 * @param given options that the user named
 * @param signal finishes the step in progress, saves and returns
 */
export async function run(o: CommandOptions<"train">, given: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  checkRunOptions(o);
  const folder = new RunFolder(o, [o.base_model, o.tokenizer_name, o.init_adapter]);
  try {
    const checkFolders = () => {
      folder.check();
      if (!o.merge) return;
      const allowed = mayReplaceMerged(o) ? "results" : "nothing";
      checkOutput(mergedFolder(o), allowed, [o.base_model, o.tokenizer_name]);
    };
    if (!o.dry_run) checkFolders();
    const progress = await Progress.open(showsBar());
    const results = o.json ? process.stderr : process.stdout;
    const beforeLine = () => progress.clearLine();
    const log = new Log({ level: progress.shown ? "info" : "verbose", results, beforeLine });
    try {
      if (o.dry_run) tellOf(checkFolders, log);
      const base = openPlan(o, given, (message) => log.warn(message));
      if (!o.dry_run) base.checkMemory();
      await new TrainCommand(o, signal, folder, base, { log, progress }).run();
    } finally {
      await log.close();
    }
  } finally {
    folder.release();
  }
}
