// The display of `lowrank train`: lines and a bar for a person, events as lines of JSON for a program.
import { LowrankError } from "../base/errors.js";
import { count } from "../base/text.js";
import type { CommandOptions } from "../config/index.js";
import type { Transfer } from "../hub/index.js";
import { dropoutsShown, modelDtype } from "../model/index.js";
import { CPU, type OnLoading } from "../native/index.js";
import type { Fetching } from "../setup/hub.js";
import { parameterCounts, trainableLine } from "../setup/memory/plan.js";
import { memoryTable } from "../setup/memory/room.js";
import type { Estimate } from "../setup/run/estimate.js";
import type { RunPlan } from "../setup/run/prepare.js";
import type { Resumption } from "../setup/run/resume.js";
import type { Reading, TrainingTexts } from "../setup/texts.js";
import { Log, Progress, showsBar } from "../tracking/index.js";
import type { Reporter, RunResult } from "../trainer/index.js";
import { downloading } from "./downloading.js";
import { loading } from "./loading.js";
import { tokenising } from "./tokenising.js";
import { duration, reporter, summaryLine } from "./training-lines.js";

type Options = Pick<CommandOptions<"train">, "json" | "precision" | "packing" | "output_dir">;

export class TrainDisplay {
  readonly log: Log;
  readonly progress: Progress;
  /** Reports the training itself. */
  readonly report: Reporter;
  readonly #o: Options;

  private constructor(o: Options, log: Log, progress: Progress) {
    this.#o = o;
    this.log = log;
    this.progress = progress;
    const show = reporter({ log, progress });
    this.report = async (event) => {
      await show(event);
      if (event.type !== "evaluating" && event.type !== "sampling") this.tell(event);
    };
  }

  static async open(o: Options): Promise<TrainDisplay> {
    const progress = await Progress.open(showsBar());
    const results = o.json ? process.stderr : process.stdout;
    const beforeLine = () => progress.clearLine();
    return new TrainDisplay(o, new Log({ level: progress.shown ? "info" : "verbose", results, beforeLine }), progress);
  }

  /** Shows errors alone. */
  static async silent(o: Options): Promise<TrainDisplay> {
    const log = new Log({ level: "error", results: null });
    return new TrainDisplay({ ...o, json: false }, log, await Progress.open(false));
  }

  readonly warn = (message: string): void => this.log.warn(message);

  /** For programs. */
  tell(event: object): void {
    if (this.#o.json) process.stdout.write(`${JSON.stringify(event)}\n`);
  }

  /** A problem that would refuse the run is only a warning for `--dry_run`. */
  warnInstead(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof LowrankError)) throw error;
      this.warn(error.message);
    }
  }

  /** Shows the reading of texts, until the signal ends it. */
  reading(signal: AbortSignal): Reading {
    const { log, progress } = this;
    return { show: tokenising(progress, log), warn: this.warn, note: (line) => log.info(line), signal };
  }

  /**
   * Shows downloads, until the signal ends them. @param check refuses options that would be useless without a
   * download
   */
  fetching(signal: AbortSignal, check: () => void): Fetching {
    const { onStart, onProgress } = downloading(this.progress, this.log);
    const start = (transfer: Transfer) => {
      check();
      onStart(transfer);
      const { repository, commit, files, bytes } = transfer;
      const { type: repo_type, name, revision } = repository;
      this.tell({ type: "download", repo_type, name, revision, commit, files: files.length, bytes });
    };
    return { warn: this.warn, note: (line) => this.log.info(line), signal, onStart: start, onProgress };
  }

  /** Shows the loading of weights. @param isFree whether the bar is nobody else's just now */
  loading(isFree: () => boolean): OnLoading {
    return loading(this.progress, this.log, isFree);
  }

  plan({ model, plan: { adapter, engine, memory } }: RunPlan): void {
    const dtype = modelDtype(model);
    const why = this.#o.precision === "auto" ? `, chosen for weights in ${dtype === "i8" ? "int8" : dtype}` : "";
    const parameters = parameterCounts(model, adapter);
    const { precision, threads, device = CPU } = engine;
    this.log.info(`precision ${precision}${why}; ${device === CPU ? "" : `${device}, `}${threads} threads`);
    const dropouts = adapter.baseDropout === false ? undefined : dropoutsShown(model);
    if (dropouts) this.log.info(`dropout of the base: ${dropouts} (--base_dropout false: none)`);
    this.log.print(trainableLine(parameters));
    this.log.print(memoryTable(memory));
    this.tell({ type: "plan", precision, threads, memory, parameters });
  }

  texts({ training, validation }: TrainingTexts): void {
    const packed = this.#o.packing ? ` in ${count(training.length)} packs` : "";
    const held = `${count(validation.examples)} to evaluate on`;
    this.log.info(`${count(training.examples)} texts to train on${packed}, ${held}`);
  }

  estimate({ steps, warmup, seconds, timedSteps }: Estimate, resumption: Resumption | null): void {
    const { log } = this;
    log.info(`${count(steps.total)} steps, ${count(steps.perEpoch)} an epoch, ${count(warmup)} of warmup`);
    if (resumption) log.info(`it would go on after step ${resumption.state.step} of ${resumption.folder}`);
    const [about, by] =
      timedSteps > 0
        ? ["about", `by ${timedSteps === 1 ? "a step" : `${timedSteps} steps`} timed here and now`]
        : ["at least about", "at 80 % of the speed of a matrix product here and now"];
    log.info(`${about} ${duration(seconds)}: ${by}, without loading, saving and samples`);
    this.tell({ type: "dry_run", steps: steps.total, steps_per_epoch: steps.perEpoch, warmup_steps: warmup, seconds });
  }

  end(result: RunResult): void {
    this.log.info(summaryLine(result.summary));
    this.tell({ type: "end", ...result, output_dir: this.#o.output_dir });
  }

  async close(): Promise<void> {
    this.progress.stop();
    await this.log.close();
  }
}
