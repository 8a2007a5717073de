import {
  checkpointFolder,
  copyTokenizerFiles,
  pruneCheckpoints,
  type RunState,
  readAdapter,
  saveCheckpoint,
  type TrainerProgress,
  trainerState,
  writeAdapter,
  writeOptimizerState,
  writeRunState,
  writeTrainerState,
} from "../checkpoint/index.js";
import type { Tokenizer } from "../data/index.js";
import type { AdapterSpec, Engine, ModelSource } from "../engine.js";
import type { ResolvedTargets } from "../model/index.js";
import type { Metric } from "./early-stopping.js";
import type { EvalMetrics, Reporter, StepMetrics } from "./events.js";
import type { Keeper } from "./keeper.js";

export interface SaverOptions {
  engine: Engine;
  model: ModelSource;
  tokenizer: Tokenizer;
  adapter: { spec: AdapterSpec; targets: ResolvedTargets };
  folder: string;
  /** Checkpoints to keep; null keeps all. */
  limit: number | null;
  /** What trainer_state.json calls the best metric. */
  metric: Metric;
  /** What a run that goes on must agree with. */
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

/** Writes checkpoints and the final adapter, and knows which checkpoint is the best. */
export class Saver implements Keeper {
  readonly #o: SaverOptions;
  readonly #history: object[];
  #best: Best | null;
  #lastFolder: string | null;

  constructor(options: SaverOptions) {
    this.#o = options;
    this.#history = [...(options.resume?.history ?? [])];
    this.#best = options.resume?.best ?? null;
    this.#lastFolder = options.resume?.folder ?? null;
  }

  get lastFolder(): string | null {
    return this.#lastFolder;
  }

  /** Remembers a line of metrics for trainer_state.json. */
  note(metrics: StepMetrics | EvalMetrics): void {
    this.#history.push(metrics);
  }

  /** @param evaluation of this very step, where there is one */
  async checkpoint(
    progress: Omit<TrainerProgress, "history" | "best">,
    state: Omit<RunState, "settings" | "cpu" | "best_eval">,
    evaluation: EvalMetrics | null,
  ): Promise<void> {
    const { step } = progress;
    const { engine, folder: output, limit, identity, report } = this.#o;
    if (evaluation && !(this.#best && this.#best.metrics.eval_loss <= evaluation.eval_loss)) {
      this.#best = { metrics: evaluation, folder: checkpointFolder(output, step) };
    }
    const best = this.#best && {
      step: this.#best.metrics.step,
      metric: this.#best.metrics[this.#o.metric],
      folder: this.#best.folder,
    };
    const folder = await saveCheckpoint(output, step, async (within) => {
      await this.#writeAdapter(within);
      await writeTrainerState(within, trainerState({ ...progress, history: this.#history, best }));
      await writeOptimizerState(within, await engine.optimizerState());
      await writeRunState(within, { ...state, best_eval: this.#best?.metrics ?? null, ...identity });
    });
    this.#lastFolder = folder;
    const removed = await pruneCheckpoints(output, limit, best ? [best.folder] : []);
    await report({ type: "checkpoint", step, folder, removed });
  }

  /** Puts the best checkpoint's adapter back into the engine, if it is not there now. @returns its evaluation, if any */
  async restoreBest(): Promise<EvalMetrics | null> {
    if (!this.#best) return null;
    const { metrics, folder } = this.#best;
    const { engine, model, report } = this.#o;
    if (folder !== this.#lastFolder) await engine.setAdapter(readAdapter(folder, model).tensors);
    await report({ type: "best", step: metrics.step, eval_loss: metrics.eval_loss, folder });
    return metrics;
  }

  async finish(): Promise<void> {
    await this.#writeAdapter(this.#o.folder);
  }

  async #writeAdapter(folder: string): Promise<void> {
    const { engine, model, tokenizer, adapter } = this.#o;
    const { spec, targets } = adapter;
    await writeAdapter(folder, { tensors: await engine.adapter(), spec, targets, baseModel: model.folder });
    await copyTokenizerFiles(tokenizer, folder);
  }
}
