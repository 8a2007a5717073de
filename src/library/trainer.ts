import { LowrankError } from "../base/errors.js";
import { type World, worldOf } from "../base/ranks.js";
import { writeAdapter } from "../checkpoint/index.js";
import { BASE, Engine, type MemoryPlan, type Ranks, Slot } from "../native/index.js";
import { withoutFactors } from "../setup/adapter.js";
import { type Classified, classifyAll, type TextOrPair } from "../setup/classify.js";
import { type ParameterCounts, parameterCounts } from "../setup/memory/plan.js";
import { RunFolder } from "../setup/run/folder.js";
import type { RunOptions } from "../setup/run/options.js";
import { beginWith, planRun, prepareRun, warnOf } from "../setup/run/prepare.js";
import { asRank, beginTogether, withAllMicroBatches } from "../setup/run/ranks.js";
import { checkRunOptions, type Prepared, trainPrepared } from "../setup/run/train.js";
import { givenTemplates } from "../setup/texts.js";
import { type Evaluation, evaluateModel, type RunEvent } from "../trainer/index.js";
import type { Adapter } from "./adapter.js";
import {
  checkPath,
  checkTextsOrPairs,
  runOptions,
  trainerClassifyOptions,
  trainerEvaluateOptions,
  trainerGenerateOptions,
} from "./arguments.js";
import { channel } from "./channel.js";
import { checkModel, type Model, register } from "./model.js";
import { openRun } from "./opened-run.js";
import { type CheckedOptions, checkOptions, type TrainerOptions } from "./options.js";
import { Gate, type TrainerState } from "./state.js";
import { continuation, readRequest, type TextOptions } from "./text.js";

/** Of several ranks the first one alone writes. */
function ofRank(checked: CheckedOptions, world: World | null): CheckedOptions {
  if (!world) return checked;
  const options = withAllMicroBatches(checked.options, world.size);
  if (world.rank === 0) return { ...checked, options };
  return {
    ...checked,
    options: { ...options, output_dir: undefined, report_to: [], use_wandb: false },
    samples: false,
  };
}

/** Fine-tunes an adapter on a model, on a native thread of its own. */
export class Trainer {
  readonly #model: Model;
  readonly #options: RunOptions;
  readonly #prepared: Prepared;
  readonly #engine: Engine;
  readonly #folder: RunFolder | null;
  readonly #warnings: string[];
  readonly #samples: boolean;
  /** Set where mpirun or srun has started this program as one of several ranks. */
  readonly #ranks: Ranks | undefined;
  readonly #unregister: () => void;
  readonly #gate = new Gate();
  /** Ends a run: after the step in progress, and after the micro-batch in progress. */
  readonly #stop = new AbortController();
  readonly #abort = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(
    model: Model,
    parts: {
      options: RunOptions;
      prepared: Prepared;
      engine: Engine;
      folder: RunFolder | null;
      warnings: string[];
      samples: boolean;
      ranks: Ranks | undefined;
    },
  ) {
    this.#model = model;
    this.#options = parts.options;
    this.#prepared = parts.prepared;
    this.#engine = parts.engine;
    this.#folder = parts.folder;
    this.#warnings = parts.warnings;
    this.#samples = parts.samples;
    this.#ranks = parts.ranks;
    this.#unregister = register(model, this, "Trainer.create");
  }

  /**
   * Reads and tokenises the texts, plans the memory and takes it. Nothing is written to `output_dir` before the first step. In a program
   * that mpirun or srun has started as one of several ranks it waits for the others' call, and all train one adapter (docs/distributed.md).
   * @throws LowrankError E_USAGE, E_MEMORY, E_OUTPUT_EXISTS and the errors of reading
   */
  static async create(model: Model, given: TrainerOptions): Promise<Trainer> {
    checkModel(model, "Trainer.create");
    const world = worldOf();
    const checked = ofRank(checkOptions(given), world);
    checkRunOptions(checked.options);
    const { output_dir: output, init_adapter: initial } = checked.options;
    const inputs = [model.folder, initial];
    const folder = output === undefined ? null : new RunFolder({ ...checked.options, output_dir: output }, inputs);
    folder?.check();
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const { options, base, readTexts } = await openRun(model, checked, warn);
    const plan = planRun(options, checked.given, base);
    plan.checkMemory();
    warnOf(options, plan, warn);
    let engine: Engine | undefined;
    try {
      // From here on no other run may change the checkpoints.
      const resumption = (await folder?.findCheckpoint(warn)) ?? null;
      const texts = await readTexts();
      const prepared = prepareRun(options, plan, texts, resumption, warn);
      const { spec } = plan.adapter;
      const begun = resumption || (world && world.rank > 0) ? withoutFactors(spec) : spec;
      const shape = { ...plan.plan.engine, ...(world && asRank(checked)) };
      engine = await Engine.create(base.model, begun, shape);
      const together = world && (await beginTogether(engine, options, prepared, new AbortController().signal, warn));
      if (!together) await beginWith(engine, prepared, warn);
      const parts = { options, engine, folder, warnings, samples: checked.samples };
      return new Trainer(model, { ...parts, prepared: together?.prepared ?? prepared, ranks: together?.ranks });
    } catch (error) {
      await engine?.close();
      folder?.release();
      throw error;
    }
  }

  get state(): TrainerState {
    return this.#gate.state;
  }

  /** The plan of its memory, item by item. */
  get memory(): MemoryPlan {
    return this.#prepared.plan.memory;
  }

  get parameters(): ParameterCounts {
    return parameterCounts(this.#prepared.model, this.#prepared.adapter.spec);
  }

  /**
   * Trains, once. The run goes on when the next event is asked for: while one is handled, the trainer is free for its other
   * methods. Leaving the loop ends the run after the micro-batch in progress.
   * @param signal ends it after the micro-batch in progress, with the signal's reason; nothing is saved
   * @throws LowrankError E_NAN and others of the run; E_BUSY, E_STATE, E_BROKEN, E_CLOSED
   */
  async *run(options: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<RunEvent, void, undefined> {
    const { signal } = runOptions(options);
    this.#gate.beginRun();
    const leave = new AbortController();
    const abort = AbortSignal.any([this.#abort.signal, leave.signal, ...(signal ? [signal] : [])]);
    const task = async (put: (event: RunEvent) => Promise<void>) => {
      abort.throwIfAborted();
      for (const message of this.#warnings.splice(0)) await put({ type: "warning", message });
      const work = {
        ...{ engine: this.#engine, report: put, signal: this.#stop.signal, abort },
        begin: () => this.#begin(),
        base: new Slot(this.#engine, BASE),
        ranks: this.#ranks,
        trained: async ({ aborted }: { aborted: boolean }) => {
          if (this.#ranks) await this.#engine.finishGroup();
          return this.#samples && !aborted;
        },
      };
      const result = await trainPrepared(this.#options, this.#prepared, work);
      await put({ type: "end", ...result });
    };
    const hooks = {
      taken: () => this.#gate.pause(),
      asked: () => this.#gate.resume(),
      left: () => {
        this.#gate.leave();
        leave.abort(new Error("the reader has left"));
      },
    };
    let settle = () => {};
    this.#running = new Promise<void>((resolve) => {
      settle = resolve;
    });
    let isBroken = false;
    try {
      yield* channel(task, hooks);
    } catch (error) {
      isBroken = !(abort.aborted && error === abort.reason);
      throw error;
    } finally {
      this.#gate.endRun(isBroken);
      this.#folder?.release();
      settle();
    }
  }

  async #begin(): Promise<void> {
    await this.#folder?.begin(this.#prepared.resumption);
  }

  /** Lets the run finish the step in progress, save and end; its `end` event says `aborted`. */
  stop(): void {
    this.#stop.abort();
  }

  /**
   * The text that follows a prompt, by the model with the adapter as it is now. With `wait` it begins as soon as no step and no
   * other call is in progress, and a run stands still until the text has its end or its reader has left.
   */
  async *generate(prompt: string, options: TextOptions & { wait?: boolean | undefined } = {}): AsyncGenerator<string> {
    const { wait, ...wanted } = trainerGenerateOptions(options);
    const leave = wait ? await this.#gate.enterLater("generate", wanted.signal) : this.#gate.enter("generate");
    if (!leave) return;
    try {
      const { maxSequence } = this.#prepared.plan.engine;
      const read = await readRequest(
        prompt,
        wanted,
        this.#model.tokenizer,
        maxSequence,
        "the trainer's longest sequence",
      );
      yield* continuation(this.#engine, this.#model.tokenizer, this.#model.folder, read);
    } finally {
      leave();
    }
  }

  /** Loss and perplexity on the validation texts, with the adapter as it is now. */
  async evaluate(options: { signal?: AbortSignal | undefined } = {}): Promise<Evaluation> {
    const { signal } = trainerEvaluateOptions(options);
    return this.#use("evaluate", async () => {
      const { validation } = this.#prepared.texts;
      const batchSize = this.#options.per_device_eval_batch_size;
      return (await evaluateModel(this.#engine, validation, { batchSize, abort: signal }))!;
    });
  }

  /**
   * The classes of texts, or of pairs of texts, by the classifier as it is now; longer texts are cut as in training.
   * @throws LowrankError E_STATE where no classifier is trained, E_PROMPT where a text is empty
   */
  async classify(
    texts: readonly TextOrPair[],
    options: { truncation_side?: "left" | "right" | undefined } = {},
  ): Promise<Classified[]> {
    checkTextsOrPairs(texts, "trainer.classify");
    const { truncation_side } = trainerClassifyOptions(options);
    const { classifier } = this.#prepared.model.config;
    if (!classifier) throw new LowrankError("E_STATE", 'classify: the trainer has no task: "seq-cls".', "task");
    const { per_device_eval_batch_size: batchSize, max_seq_length: maxLength } = this.#options;
    const side = truncation_side ?? this.#options.truncation_side;
    return this.#use("classify", () =>
      classifyAll(this.#engine, this.#model.tokenizer, classifier, texts, { batchSize, maxLength, side }),
    );
  }

  /** A copy of the adapter as it is now. */
  adapter(): Promise<Adapter> {
    return this.#use("adapter", async () => {
      const { spec, targets } = this.#prepared.adapter;
      return { folder: this.#options.output_dir ?? "", spec, targets, tensors: await this.#engine.adapter() };
    });
  }

  /** Writes the adapter as it is now, in PEFT's layout, and the tokenizer beside it. @throws LowrankError E_WRITE */
  async save(folder: string): Promise<void> {
    checkPath(folder, "trainer.save", "the adapter's folder");
    return this.#use("save", async () => {
      const { spec, targets } = this.#prepared.adapter;
      const tensors = await this.#engine.adapter();
      const { tokenizer } = this.#model;
      const { folder: baseModel, origin, config } = this.#prepared.model;
      const { classifier } = config;
      const templates = givenTemplates(this.#options, this.#prepared.texts);
      await writeAdapter(folder, { tensors, spec, targets, baseModel, origin, tokenizer, templates, classifier });
    });
  }

  async #use<T>(method: string, work: () => Promise<T>): Promise<T> {
    const leave = this.#gate.enter(method);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Ends the work in progress and frees the memory. May be called at any time, also twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const wasPaused = this.#gate.isWithReader;
    this.#gate.close();
    this.#abort.abort(new LowrankError("E_CLOSED", "run: the trainer was closed."));
    // A run whose reader is between two events ends when the reader comes back, which may be never.
    if (!wasPaused) await this.#running;
    await this.#engine.close();
    this.#folder?.release();
    this.#unregister();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
