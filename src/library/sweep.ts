import { LowrankError } from "../base/errors.js";
import { worldOf } from "../base/ranks.js";
import { custom, plainEntries, rows, type Variant, variantsOf } from "../config/index.js";
import { Engine } from "../native/index.js";
import { RunFolder } from "../setup/run/folder.js";
import { warnOf } from "../setup/run/prepare.js";
import { AUTO } from "../setup/run/resume.js";
import { planSweep } from "../setup/sweep/plan.js";
import { prepareSweep } from "../setup/sweep/prepare.js";
import { writeSweepReport } from "../setup/sweep/report.js";
import { type SweepResult, sweepResult, writeSweep } from "../setup/sweep/result.js";
import { checkSweepOptions } from "../setup/sweep/rule.js";
import { sweepRuns } from "../setup/sweep/runs.js";
import { trainSweep } from "../setup/sweep/train.js";
import type { TrainerEvent } from "../trainer/index.js";
import { methodOptions, signal as signalRow } from "./arguments.js";
import { channel } from "./channel.js";
import { checkModel, type Model, register } from "./model.js";
import { openRun } from "./opened-run.js";
import { checkOptions, type TrainerOptions } from "./options.js";

export type { SweepEntry, SweepResult } from "../setup/sweep/result.js";

/** The options of `Trainer.create` that all adapters share, and the options of `lowrank sweep`. */
export type SweepOptions = Omit<TrainerOptions, "samples" | "num_samples" | "sample_max_new_tokens" | "output_dir"> & {
  /** Folder for sweep.json, report.html and a folder for each adapter. */
  output_dir: string;
  /** One adapter for each rank. */
  ranks?: number | number[] | string | undefined;
  /** In place of ranks: lists of values by option, for every combination; or a list with the options of each adapter. */
  grid?: Record<string, unknown> | Record<string, unknown>[] | undefined;
  stopping_rule?: "none" | "successive_halving" | "median" | undefined;
  reduction_factor?: number | undefined;
  grace_evaluations?: number | undefined;
  /** Finishes the steps in progress, saves and ends; `signal` ends after the micro-batch in progress, and nothing is saved. */
  stop?: AbortSignal | undefined;
};

/** Events of the runs with their names, warnings of the sweep, and the result at the end. */
export type SweepEvent =
  | (TrainerEvent & { run: string })
  | { type: "warning"; run: null; message: string }
  | ({ type: "end"; run: null } & SweepResult);

const isGrid = (value: unknown): value is NonNullable<SweepOptions["grid"]> =>
  typeof value === "object" && value !== null;
const { ranks, stopping_rule, reduction_factor, grace_evaluations } = rows;
const OWN = {
  ...{ ranks, stopping_rule, reduction_factor, grace_evaluations, stop: signalRow },
  grid: custom("lists by option, or a list of options", isGrid, "the grid").optional(),
};
const ownOptions = methodOptions("sweep", OWN);

/** The options of the sweep, and of its runs. @throws LowrankError E_ARGUMENT, E_USAGE */
function checkSweep(given: unknown) {
  const entries = plainEntries(given, "sweep");
  const isOwn = ([name]: [string, unknown]) => Object.hasOwn(OWN, name);
  const own = ownOptions(Object.fromEntries(entries.filter(isOwn)));
  const checked = checkOptions(Object.fromEntries(entries.filter((entry) => !isOwn(entry))));
  const { output_dir, resume } = checked.options;
  const usage = (message: string, where: string) => new LowrankError("E_USAGE", `${message}.`, where);
  const world = worldOf();
  if (world && world.size > 1)
    throw usage(`sweep trains in one process, and ${world.by} has started ${world.size} of this program`, "sweep");
  if (output_dir === undefined) throw usage("output_dir: missing; expected a folder", "output_dir");
  if (checked.samples) throw usage("samples: a sweep writes none", "samples");
  if ((own.ranks === undefined) === (own.grid === undefined)) throw usage("Expected one of ranks and grid", "ranks");
  if (resume !== undefined && resume !== "latest" && resume !== AUTO)
    throw usage("resume: a sweep goes on in its own folder, expected true or auto", "resume");
  const variants: Variant[] =
    own.ranks === undefined ? variantsOf(own.grid, "grid") : variantsOf({ lora_r: own.ranks }, "ranks");
  const options = { ...checked.options, output_dir, resume: resume === undefined ? undefined : AUTO };
  return { own, variants, checked: { ...checked, options } };
}

/**
 * Trains several adapters side by side on one base, a step of each in turn, as `lowrank sweep` does (docs/ranks.md). Each adapter is bit
 * for bit the adapter that a `Trainer` gives alone. The sweep goes on when the next event is asked for. Leaving the loop ends it
 * after the micro-batch in progress.
 * @throws LowrankError E_USAGE, E_MEMORY, E_OUTPUT_EXISTS and the errors of reading and of runs; or the signal's reason
 */
export async function* sweep(model: Model, options: SweepOptions): AsyncGenerator<SweepEvent, void, undefined> {
  checkModel(model, "sweep");
  const { own, variants, checked } = checkSweep(options);
  const { output_dir } = checked.options;
  const leave = new AbortController();
  const { signal } = checked.download;
  const abort = signal ? AbortSignal.any([leave.signal, signal]) : leave.signal;
  const task = async (put: (event: SweepEvent) => Promise<void>) => {
    abort.throwIfAborted();
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const named = sweepRuns(checked.options, checked.given, variants);
    checkSweepOptions(own.stopping_rule, named);
    const inputs = [model.folder, checked.options.init_adapter];
    const folders = named.map(
      (each) => new RunFolder({ ...each.options, output_dir: each.options.output_dir! }, inputs),
    );
    try {
      for (const folder of folders) folder.check();
      const { options: found, base, readTexts } = await openRun(model, checked, warn);
      const runs = sweepRuns(found, checked.given, variants);
      const plan = planSweep(runs, base);
      plan.checkMemory();
      warnOf(found, plan.runs[0]!, warn);
      const prepared = await prepareSweep(runs, folders, plan, await readTexts(), { warn });
      const specs = plan.runs.map(({ adapter }) => adapter.spec);
      await using engine = await Engine.create(base.model, specs, plan.runs[0]!.plan.engine);
      for (const message of warnings.splice(0)) await put({ type: "warning", run: null, message });
      const rule = { kind: own.stopping_rule, factor: own.reduction_factor, grace: own.grace_evaluations };
      const report = (run: string, event: TrainerEvent) => put({ ...event, run });
      const stop = own.stop ?? new AbortController().signal;
      const begun = performance.now();
      const outcomes = await trainSweep(engine, prepared, { rule, report, signal: stop, abort });
      const result = sweepResult(prepared, outcomes, rule, (performance.now() - begun) / 1000);
      writeSweep(output_dir, result);
      const note = await writeSweepReport(output_dir, result);
      if (note) await put({ type: "warning", run: null, message: note });
      await put({ type: "end", run: null, ...result });
    } finally {
      for (const folder of folders) folder.release();
    }
  };
  const closed = { close: async () => leave.abort(new LowrankError("E_CLOSED", "sweep: the model was closed.")) };
  const unregister = register(model, closed, "sweep");
  const left = () => leave.abort(new Error("the reader has left"));
  try {
    yield* channel(task, { taken: () => {}, asked: async () => {}, left });
  } finally {
    unregister();
  }
}
