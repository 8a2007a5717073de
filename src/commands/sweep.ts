import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { bytes, count } from "../base/text.js";
import { type CommandOptions, readGrid, trainRows, type Variant, variantsOf } from "../config/index.js";
import { trainingFiles } from "../setup/dataset.js";
import { located } from "../setup/hub.js";
import { aboutClassifier, readTrainingLabels } from "../setup/labels.js";
import { RunFolder } from "../setup/run/folder.js";
import { warnOf } from "../setup/run/prepare.js";
import { AUTO, liesIn } from "../setup/run/resume.js";
import { stepsOf } from "../setup/run/steps.js";
import { planSweep, type SweepPlan } from "../setup/sweep/plan.js";
import { prepareSweep } from "../setup/sweep/prepare.js";
import { writeSweepReport } from "../setup/sweep/report.js";
import { sweepResult, sweepTable, writeSweep } from "../setup/sweep/result.js";
import { checkLengths, checkSweepOptions } from "../setup/sweep/rule.js";
import { checkSeeds, type SweepRun, sweepRuns } from "../setup/sweep/runs.js";
import { trainSweep } from "../setup/sweep/train.js";
import { checkTextFiles, type TrainingTexts } from "../setup/texts.js";
import { ahead, createEngine, type Found, openRunBase, readTexts } from "./run-parts.js";
import { showPlan, sweepReporter } from "./sweep-display.js";
import { TrainDisplay } from "./train-display.js";
import { duration } from "./training-lines.js";

type Options = CommandOptions<"sweep">;
/** A sweep writes no samples. */
const NO_SAMPLES = {
  num_samples: 0,
  sample_base: false,
  sample_max_new_tokens: trainRows.sample_max_new_tokens.defaultValue!,
};
type Run = SweepRun<Found & typeof NO_SAMPLES>;

/** @throws LowrankError E_USAGE */
function variants({ ranks, grid }: Options): Variant[] {
  if ((ranks === undefined) === (grid === undefined))
    throw new LowrankError("E_USAGE", "Expected one of --ranks and --grid.", "ranks");
  return ranks === undefined ? readGrid(grid!) : variantsOf({ lora_r: ranks }, "--ranks");
}

/** A run goes on where it can. @throws LowrankError E_USAGE */
function resumption({ resume, output_dir }: Options): string | undefined {
  if (resume === undefined) return undefined;
  if (liesIn(resume, output_dir)) return AUTO;
  const message = `--resume ${resume}: a sweep goes on in its own folder, expected --resume or --resume auto.`;
  throw new LowrankError("E_USAGE", message, "resume");
}

/** One call of the command. */
interface Call {
  o: Options;
  runs: Run[];
  folders: RunFolder[];
  plan: SweepPlan;
  display: TrainDisplay;
  signal: AbortSignal;
}

function dryRun({ o, runs, plan, display }: Call, texts: TrainingTexts): void {
  checkSeeds(runs, texts.hashes.validation !== null);
  checkLengths(o.stopping_rule, runs, texts.training.length);
  display.texts(texts);
  plan.checkMemory();
  for (const { name, options } of runs) {
    const { total, perEpoch } = stepsOf(options, texts.training.length);
    display.log.info(`${name}: ${count(total)} steps, ${count(perEpoch)} an epoch`);
  }
}

async function train(call: Call, reading: Promise<TrainingTexts>): Promise<void> {
  const { o, runs: named, folders, plan, display, signal } = call;
  const [{ model, plan: shared }] = plan.runs as [SweepPlan["runs"][number]];
  const specs = plan.runs.map(({ adapter }) => adapter.spec);
  const creating = ahead(createEngine(model, specs, shared.engine, display, reading));
  const texts = await reading;
  await using engine = await creating;
  const { log } = display;
  const tell = {
    warn: display.warn,
    note: (line: string) => log.info(line),
    detail: (line: string) => log.verbose(line),
  };
  const runs = await prepareSweep(named, folders, plan, texts, tell);
  display.texts(texts);
  signal.throwIfAborted();
  signal.addEventListener("abort", () => display.warn("finishing these steps and saving; once more ends at once"));
  const begun = performance.now();
  let isOpen = false;
  const report = sweepReporter(display);
  const opening = runs.map((run) => ({
    ...run,
    begin: async () => {
      await run.begin();
      if (!isOpen) display.log.openFile(join(o.output_dir, "sweep.log"), o.resume !== undefined);
      isOpen = true;
    },
  }));
  const rule = { kind: o.stopping_rule, factor: o.reduction_factor, grace: o.grace_evaluations };
  const outcomes = await trainSweep(engine, opening, { rule, report, signal });
  display.progress.stop();
  const result = sweepResult(runs, outcomes, rule, (performance.now() - begun) / 1000);
  writeSweep(o.output_dir, result);
  const note = await writeSweepReport(o.output_dir, result);
  if (note) display.warn(note);
  display.log.print(sweepTable(result));
  const best = result.runs.find(({ run }) => run === result.best);
  if (best) display.log.info(`the best adapter by ${result.metric} is ${best.folder}`);
  const { recommended } = result;
  if (recommended) display.log.info(`recommended: ${recommended.run}, for ${recommended.reason}`);
  if (recommended && recommended.next_ranks.length > 0)
    display.log.info(`a larger rank may be better: lowrank sweep --ranks ${recommended.next_ranks.join()}`);
  const memory = `peak memory ${bytes(result.peak_memory_bytes)} (planned ${bytes(result.planned_memory_bytes)})`;
  display.log.info(
    `${duration(result.seconds)}; ${memory}; ${join(o.output_dir, "sweep.json")} and report.html hold the table`,
  );
  display.tell({ type: "end", ...result });
}

/**
 * `lowrank sweep`.
 * @param given options that the user named
 * @param signal finishes the steps in progress, saves and returns
 */
export async function run(options: Options, given: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const wanted = { ...options, ...NO_SAMPLES, resume: resumption(options) };
  const list = variants(options);
  const named = sweepRuns(wanted, given, list);
  checkSweepOptions(options.stopping_rule, named);
  const inputs = [options.base_model, options.tokenizer_name, options.init_adapter];
  const folders = named.map((each) => new RunFolder(each.options, inputs));
  const check = () => {
    for (const folder of folders) folder.check();
  };
  if (!options.dry_run) check();
  const display = await TrainDisplay.open(options);
  // Texts that are still being read at the end are abandoned.
  const ended = new AbortController();
  try {
    if (options.dry_run) display.warnInstead(check);
    const fetching = display.fetching(signal, () => checkTextFiles(options));
    const files = await trainingFiles(options, fetching);
    const o = { ...(await located(wanted, fetching)), ...files };
    const labels = o.task === "seq-cls" ? await readTrainingLabels(o) : null;
    const base = openRunBase(o, labels, display.warn);
    if (labels) for (const line of aboutClassifier(base.model)) display.log.info(line);
    // The same runs, with files in place of names.
    const runs = sweepRuns(o, given, list);
    const plan = planSweep(runs, base);
    showPlan(display, runs, plan);
    warnOf(o, plan.runs[0]!, display.warn);
    if (!options.dry_run) plan.checkMemory();
    const reading = ahead(readTexts(o, base.model, labels, display, AbortSignal.any([signal, ended.signal])));
    const call = { o: options, runs, folders, plan, display, signal };
    if (options.dry_run) dryRun(call, await reading);
    else await train(call, reading);
  } catch (error) {
    display.log.note(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    ended.abort();
    await display.close();
    for (const folder of folders) folder.release();
  }
}
