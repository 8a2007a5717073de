import { existsSync, statSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { fullError, isFull } from "../base/system-errors.js";
import {
  type AdapterToWrite,
  type CardRun,
  checkpointFolder,
  pruneCheckpoints,
  type RunState,
  readAdapter,
  removeFolder,
  type SavedSizes,
  saveCheckpoint,
  savedSizes,
  trainerState,
  unfinishedAdapter,
  writeAdapter,
  writeAdapterFiles,
  writeBareAdapter,
  writeDevicePlans,
  writeOptimizerState,
  writeRunState,
  writeTrainerState,
} from "../checkpoint/index.js";
import type { ChatTemplates, Tokenizer } from "../data/index.js";
import type { ResolvedTargets } from "../model/index.js";
import {
  type AdapterEngine,
  type AdapterSpec,
  freeTensors,
  type ModelSource,
  type OptimizerState,
} from "../native/index.js";
import { isBest, type Metric } from "./early-stopping.js";
import type { EvalMetrics, Reporter, StepMetrics } from "./events.js";
import type { Keeper, Reached } from "./keeper.js";

export interface SaverOptions {
  engine: AdapterEngine;
  model: ModelSource;
  tokenizer: Tokenizer;
  /** Chat templates in the place of the tokenizer's. */
  templates?: ChatTemplates | undefined;
  adapter: { spec: AdapterSpec; targets: ResolvedTargets };
  folder: string;
  /** Checkpoints to keep; null keeps all. */
  limit: number | null;
  /** The name of the best metric in trainer_state.json. */
  metric: Metric;
  /** For the model card. */
  texts: Pick<CardRun, "dataset" | "training" | "validation">;
  /** Settings that a run that goes on must agree with. */
  identity: Pick<RunState, "settings" | "cpu">;
  /** The checkpoint that the run goes on from. */
  resume?: Resumed | undefined;
  report: Reporter;
}

export interface Resumed {
  folder: string;
  /** Lines of metrics up to it. */
  history: object[];
  best: Best | null;
}

export interface Best {
  metrics: EvalMetrics;
  folder: string;
}

/** A checkpoint that is being written while training goes on. */
interface Pending {
  step: number;
  best: Best | null;
  outcome: Promise<{ folder: string } | { error: unknown }>;
  isDone: boolean;
}

/** Differs where a folder was removed and made anew; null where there is none. */
function sameness(folder: string): string | null {
  const found = statSync(folder, { bigint: true, throwIfNoEntry: false });
  return found ? `${found.dev} ${found.ino} ${found.birthtimeNs}` : null;
}

/** Writes checkpoints and the final adapter, and knows which checkpoint is the best. */
export class Saver implements Keeper {
  readonly #o: SaverOptions;
  readonly #history: object[];
  #best: Best | null;
  #lastFolder: string | null;
  #hasFailed = false;
  #pending: Pending | null = null;
  /** The folder as it was seen; null where it has not been. */
  #seen: string | null = null;

  constructor(options: SaverOptions) {
    this.#o = options;
    this.#history = [...(options.resume?.history ?? [])];
    this.#best = options.resume?.best ?? null;
    this.#lastFolder = options.resume?.folder ?? null;
  }

  get lastFolder(): string | null {
    return this.#lastFolder;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  get best(): EvalMetrics | null {
    return this.#best?.metrics ?? null;
  }

  /** Remembers a line of metrics for trainer_state.json. */
  note(metrics: StepMetrics | EvalMetrics): void {
    this.#history.push(metrics);
    this.#seen ??= sameness(this.#o.folder);
  }

  /**
   * Copies adapter and optimizer state, and writes the checkpoint while training goes on. One is written at a time. A checkpoint that
   * cannot be written is a warning where the one before it is whole, and where this is not the run's last one; training goes on. The
   * second one in a row is an error: a run must not go far without being saved. The caller waits for a run's last one (`settle`).
   * @param evaluation of this very step, where there is one
   * @throws LowrankError E_WRITE
   */
  async checkpoint({ progress, state }: Reached, evaluation: EvalMetrics | null): Promise<void> {
    await this.settle();
    await this.#noticeRemoval();
    const { step } = progress;
    const { engine, folder: output } = this.#o;
    const best =
      evaluation && isBest(this.#o.metric, evaluation, this.#best?.metrics)
        ? { metrics: evaluation, folder: checkpointFolder(output, step) }
        : this.#best;
    // Their present state: the steps that follow change it.
    const [adapter, optimizer] = [await this.#adapter(), await engine.optimizerState()];
    const plans = await engine.devicePlans();
    const writeStates = this.#states({ progress, state }, best);
    const write = async (within: string) => {
      await writeAdapterFiles(within, adapter);
      await writeOptimizerState(within, optimizer);
      await writeDevicePlans(within, plans);
      await writeStates(within);
    };
    const outcome = saveCheckpoint(output, step, write)
      .then(
        (folder) => ({ folder }),
        (error: unknown) => ({
          error: fullError(error, checkpointFolder(output, step), this.#sizes(optimizer).checkpoint),
        }),
      )
      .finally(() => freeTensors(adapter.tensors, ...("m" in optimizer ? [optimizer.m, optimizer.v] : [])));
    const pending: Pending = { step, best, outcome, isDone: false };
    void outcome.then(() => {
      pending.isDone = true;
    });
    this.#pending = pending;
  }

  /** Writes the states as they are now. */
  #states({ progress, state }: Reached, best: Best | null): (within: string) => Promise<void> {
    const { metric, identity } = this.#o;
    const named = best && {
      step: best.metrics.step,
      metric: best.metrics[metric] ?? best.metrics.eval_loss,
      folder: best.folder,
    };
    const trainer = trainerState({ ...progress, history: [...this.#history], best: named });
    return async (within) => {
      await writeTrainerState(within, trainer);
      await writeRunState(within, { ...state, best_eval: best?.metrics ?? null, ...identity });
    };
  }

  async collect(): Promise<void> {
    if (this.#pending?.isDone) await this.settle();
  }

  async written(): Promise<void> {
    await this.#pending?.outcome;
  }

  async settle(isLast = false): Promise<void> {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = null;
    const result = await pending.outcome;
    if ("error" in result) return this.#goOnWithout(result.error, isLast);
    this.#lastFolder = result.folder;
    this.#hasFailed = false;
    this.#best = pending.best;
    await this.#o.report({
      type: "checkpoint",
      step: pending.step,
      folder: result.folder,
      removed: await this.#prune(),
    });
  }

  async #goOnWithout(error: unknown, isLast: boolean): Promise<void> {
    const isAllowed = this.#lastFolder !== null && !this.#hasFailed && !isLast;
    if (!(error instanceof LowrankError) || error.code !== "E_WRITE" || !isAllowed) throw await this.#endOf(error);
    this.#hasFailed = true;
    const message = `${error.message} Training goes on without this checkpoint; the last whole one is ${this.#lastFolder}.`;
    await this.#o.report({ type: "warning", message });
  }

  #sizes(state?: OptimizerState): SavedSizes {
    const { model, tokenizer, adapter } = this.#o;
    return savedSizes(model, adapter.spec, state && "moments" in state ? "adamw_8bit" : "adamw", tokenizer);
  }

  /**
   * For a full disk that ends the run: the small files may still fit. @returns the error, with the files that were saved and
   * how to go on
   */
  async #endOf(error: unknown): Promise<unknown> {
    if (!isFull(error)) return error;
    const { folder } = this.#o;
    const saved = await this.#saveBare();
    const adapter = saved
      ? `The adapter as it is now was saved in ${unfinishedAdapter(folder)}, without tokenizer and optimizer state.`
      : "The adapter alone could not be saved either.";
    const goOn =
      this.#lastFolder === null
        ? "There is no whole checkpoint to go on from."
        : `With room on the disk, --resume goes on from ${this.#lastFolder}.`;
    return new LowrankError("E_WRITE", `${error.message} ${adapter} ${goOn}`, error.where, { cause: error.cause });
  }

  /** @returns whether it succeeded */
  async #saveBare(): Promise<boolean> {
    try {
      const adapter = await this.#adapter();
      // Another error may have ended the run.
      if (![...adapter.tensors.values()].every(({ data }) => data.every(Number.isFinite))) return false;
      await writeBareAdapter(unfinishedAdapter(this.#o.folder), adapter).finally(() => freeTensors(adapter.tensors));
      return true;
    } catch {
      return false;
    }
  }

  /** A folder that cannot be removed only takes up space. @returns the folders removed */
  async #prune(): Promise<string[]> {
    const { folder, limit, report } = this.#o;
    try {
      return await pruneCheckpoints(folder, limit, this.#best ? [this.#best.folder] : []);
    } catch (error) {
      if (!(error instanceof LowrankError)) throw error;
      await report({ type: "warning", message: `Old checkpoints could not be removed: ${error.message}` });
      return [];
    }
  }

  /** Puts the best checkpoint's adapter back into the engine, if it is not there now. @returns its evaluation, if any */
  async restoreBest(): Promise<EvalMetrics | null> {
    if (!this.#best) return null;
    const { metrics, folder } = this.#best;
    const { engine, model, report } = this.#o;
    if (folder !== this.#lastFolder && !existsSync(folder)) {
      const message = `The best checkpoint, ${folder}, was removed: the adapter of the last step is kept.`;
      await report({ type: "warning", message });
      return null;
    }
    if (folder !== this.#lastFolder) await engine.setAdapter(readAdapter(folder, model).tensors);
    await report({ type: "best", step: metrics.step, eval_loss: metrics.eval_loss, folder });
    return metrics;
  }

  async finish(reached: Reached): Promise<void> {
    await this.#noticeRemoval();
    const { folder } = this.#o;
    const adapter = await this.#adapter();
    const hasCheckpoint = this.#lastFolder !== null && this.#lastFolder !== folder;
    try {
      // Without a checkpoint nothing else says that the run is finished, and which run it was.
      await writeAdapter(folder, adapter, hasCheckpoint ? undefined : this.#states(reached, this.#best));
    } catch (error) {
      throw await this.#endOf(fullError(error, folder, this.#sizes().adapter));
    } finally {
      freeTensors(adapter.tensors);
    }
    await removeFolder(unfinishedAdapter(folder)).catch(() => {});
    // A run that was killed right after its last checkpoint, and goes on with nothing left to do, has not removed old ones.
    await this.#prune();
  }

  /** If somebody removes the folder of a run, its files are written anew, and a warning tells so. */
  async #noticeRemoval(): Promise<void> {
    const { folder, report } = this.#o;
    const before = this.#seen;
    this.#seen = sameness(folder);
    if (before === null || before === this.#seen) return;
    const message = `${folder} was removed while the run goes on: it is made anew, without its old files.`;
    await report({ type: "warning", message });
  }

  async #adapter(): Promise<AdapterToWrite> {
    const { engine, model, tokenizer, templates, adapter, texts, identity } = this.#o;
    const run = { ...texts, settings: identity.settings, history: [...this.#history] };
    return {
      ...adapter,
      tensors: await engine.adapter(),
      baseModel: model.folder,
      classifier: model.config.classifier,
      origin: model.origin,
      run,
      tokenizer,
      templates,
    };
  }
}
