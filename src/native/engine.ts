import { LowrankError } from "../base/errors.js";
import { endsRanks, tellLauncher, worldOf } from "../base/ranks.js";
import { type NativeEngine, native } from "./addon.js";
import { call } from "./call.js";
import { checkFinite } from "./quantize.js";
import type {
  AdapterSpec,
  AdapterSpecs,
  AdapterTensors,
  Batch,
  EngineOptions,
  EngineProfile,
  GroupReadings,
  MicroBatchOptions,
  ModelSource,
  OnLoading,
  OptimizerOptions,
  OptimizerState,
  PlainDtype,
  Readings,
  SamplingOptions,
} from "./types.js";

/** The number of no adapter. */
export const BASE = -1;

/** Between two looks at how far an engine is that is being created. */
const PROGRESS_MS = 100;
/** As torch.distributed and transformers wait. */
const LONGEST_WAIT_S = 1800;

/** Waits until all ranks are there, which MPI itself does without a limit. */
async function meet(engine: NativeEngine, group: "mpi", seconds: number): Promise<void> {
  tellLauncher("joining");
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const message = `Not all ranks have come to the start of the training within ${seconds} s (--ddp_timeout): one hangs, or reads for longer.`;
    timer = setTimeout(() => reject(new LowrankError("E_TIMEOUT", message, "ddp_timeout")), 1000 * seconds);
  });
  try {
    await Promise.race([engine.joinGroup(group, seconds), limit]);
    endsRanks(() => engine.abortGroup());
    const [{ size }, world] = [await engine.group(), worldOf()];
    if (world && size !== world.size) {
      const message = `${world.by} has started ${world.size} ranks, and the MPI library that was loaded knows of ${size}: they are of different versions of Open MPI. Put the mpirun first in PATH, and its libmpi first in LD_LIBRARY_PATH, that belong together.`;
      throw new LowrankError("E_MPI", message, "group");
    }
    await Promise.race([engine.joinDevices(), limit]);
  } finally {
    clearTimeout(timer);
  }
  tellLauncher("joined");
}

/**
 * One frozen model with any number of adapters, on a native thread of its own. Calls are queued and run in order; none blocks
 * the event loop. After `close` every call rejects with `E_CLOSED`.
 *
 * Adapters have numbers, from 0 on, in the order in which they were given and added; calls without a number mean the first, and the
 * base alone where there are none. `BASE` is the base alone. A number that there is not rejects with `E_STATE`.
 */
export class Engine {
  readonly #engine: NativeEngine;
  readonly #source: ModelSource;
  readonly #threads: number;
  #isAbandoned = false;

  private constructor(engine: NativeEngine, source: ModelSource, threads: number) {
    this.#engine = engine;
    this.#source = source;
    this.#threads = threads;
  }

  /**
   * Maps the weights, quantises and copies the marked ones, allocates the memory of `planMemory` and initialises the adapters.
   * @param onLoading told the progress now and then, and at the end: how many weights are quantised, or bytes copied
   */
  static async create(
    source: ModelSource,
    adapters: AdapterSpecs,
    options: EngineOptions,
    onLoading?: OnLoading,
  ): Promise<Engine> {
    return call(async () => {
      const engine = new (native().Engine)();
      const toQuantize = source.tensors.filter(({ quantize }) => quantize).length;
      // Weights that the system refused to copy stay mapped. They count as done once the engine is open.
      const tell = (isOpen: boolean) => {
        const { quantized, copied, toCopy } = engine.loadProgress();
        if (toQuantize > 0) onLoading?.("quantising", isOpen ? toQuantize : quantized, toQuantize);
        if (toCopy > 0) onLoading?.("copying", isOpen ? toCopy : copied, toCopy);
      };
      const timer = onLoading && setInterval(() => tell(false), PROGRESS_MS);
      try {
        await engine.open(source, adapters, options);
      } finally {
        clearInterval(timer);
      }
      tell(true);
      // Last: a process that fails before it has met the others is noticed by whoever started them.
      if (options.group) await meet(engine, options.group, options.groupTimeout ?? LONGEST_WAIT_S);
      return new Engine(engine, source, options.threads);
    });
  }

  /** Number of an adapter's trainable parameters, and of all parameters of the base and this adapter. */
  async parameterCounts(adapter = 0): Promise<{ trainable: number; total: number }> {
    return call(() => this.#engine.parameterCounts(adapter));
  }

  /**
   * One more adapter on the same base and buffers, which grow where its rank is larger than any before.
   * @returns its number
   * @throws LowrankError E_STATE between the last micro-batch of a step (`isLast`) and its `optimizerStep`, where there are several ranks
   */
  async addAdapter(adapter: AdapterSpec): Promise<number> {
    return call(() => this.#engine.addAdapter(adapter));
  }

  /** Frees an adapter's memory. Its number is not used again; texts that were begun with it cannot go on. */
  async removeAdapter(adapter: number): Promise<void> {
    return call(() => this.#engine.removeAdapter(adapter));
  }

  /**
   * Adds the gradient of `lossScale` times `Readings.lossScale` times the summed cross-entropy of a micro-batch to the gradients, and that
   * sum to `Readings.windowLoss`. For the mean over an accumulation window, `lossScale` is one over the number of supervised tokens of
   * the whole window.
   * @param rngStream numbers the micro-batch within the run; dropout masks depend on the run's seed and on this alone
   * @throws LowrankError E_STATE between the first micro-batch of another adapter's step and its `optimizerStep`: the gradients are that step's
   */
  async forwardBackward(
    batch: Batch,
    lossScale: number,
    rngStream: number,
    { adapter = 0, isLast = false }: MicroBatchOptions = {},
  ): Promise<void> {
    return call(() => this.#engine.forwardBackward(batch, lossScale, rngStream, adapter, isLast));
  }

  /**
   * Clips, applies AdamW, clears the gradients. Where the gradients are not finite nothing is applied: `readings` tell.
   * @throws LowrankError E_OPTIONS, and the gradients stay as they are
   */
  async optimizerStep(options: OptimizerOptions, adapter = 0): Promise<void> {
    return call(() => this.#engine.optimizerStep(options, adapter));
  }

  /** Waits for the steps so far. No step does: numbers stay with the engine until they are wanted. */
  async readings(adapter = 0): Promise<Readings> {
    return call(() => this.#engine.readings(adapter));
  }

  /** Replaces the given readings, to begin an interval or to go on from a checkpoint. */
  async setReadings(readings: Partial<Readings>, adapter = 0): Promise<void> {
    return call(() => this.#engine.setReadings(readings, adapter));
  }

  /** Sum of the token losses of a batch; no dropout, no gradients. */
  async evaluate(batch: Batch, adapter = 0): Promise<number> {
    return call(() => this.#engine.evaluate(batch, adapter));
  }

  /**
   * For results that are not numbers: looks for a reason in the base's files.
   * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
   */
  async checkWeights(): Promise<void> {
    await checkFinite(this.#source, this.#threads);
  }

  /** Logits (tokens, vocab), row-major, of every token of a batch. For tests and small inputs. */
  async logits(batch: Batch, adapter = 0): Promise<Float32Array> {
    return call(() => this.#engine.logits(batch, adapter));
  }

  /**
   * Of a classifier: logits (sequences, labels), row-major, and the sum of the losses of sequences with labels (0 without). Each number of
   * several labels, and of a regression, is a loss of its own.
   */
  async classify(batch: Batch, adapter = 0): Promise<{ logits: Float32Array; loss: number }> {
    return call(() => this.#engine.classify(batch, adapter));
  }

  /** Gradients accumulated so far, `dA` and `dB` under the adapter tensors' names. */
  async gradients(adapter = 0): Promise<AdapterTensors> {
    return call(() => this.#engine.gradients(adapter));
  }

  async adapter(adapter = 0): Promise<AdapterTensors> {
    return call(() => this.#engine.adapter(adapter));
  }

  /** Replaces every adapter tensor. @throws LowrankError where one is missing, unknown or of the wrong shape. */
  async setAdapter(tensors: AdapterTensors, adapter = 0): Promise<void> {
    return call(() => this.#engine.setAdapter(tensors, adapter));
  }

  /**
   * FLOP/s of a product at its best, with this engine's threads and precision.
   * @param again measures it again; otherwise only the first call does. The best of all measurements counts
   */
  async matmulPeak(again = false): Promise<number> {
    return call(() => this.#engine.matmulPeak(again));
  }

  /** Gives the buffers' memory back to the system until the next pass, which takes it again. A device keeps its own. */
  async trim(): Promise<void> {
    await call(() => this.#engine.trim());
  }

  /** The algorithms of a device's products so far, as text for a checkpoint; empty where there are none to choose. */
  async devicePlans(): Promise<string> {
    return call(() => this.#engine.devicePlans());
  }

  /**
   * Computes products as a checkpoint's plans say, to the same bits.
   * @returns why that cannot be, in words: they are of another card or library, and others are chosen; null where it can
   */
  async takeDevicePlans(plans: string): Promise<string | null> {
    return (await call(() => this.#engine.takeDevicePlans(plans))) || null;
  }

  /** This rank, and its waiting for others. */
  async group(): Promise<GroupReadings> {
    return call(() => this.#engine.group());
  }

  /** Each value's sum over the ranks, added in their order: the same bits on all ranks. @throws LowrankError E_GROUP */
  async sumOverRanks(values: readonly number[] | Float64Array): Promise<Float64Array> {
    return call(() => this.#engine.sumOverRanks(Float64Array.from(values)));
  }

  /** A text of each rank. @throws LowrankError E_GROUP */
  async gatherTexts(text: string): Promise<string[]> {
    return call(() => this.#engine.gatherTexts(text));
  }

  /** The adapter of rank 0, with the optimizer's state and the readings, in the place of everyone's. @throws LowrankError E_GROUP */
  async shareAdapter(adapter = 0): Promise<void> {
    return call(() => this.#engine.shareAdapter(adapter));
  }

  /** The last call of a group: returns when all ranks are done. @throws LowrankError E_GROUP */
  async finishGroup(): Promise<void> {
    await call(() => this.#engine.finishGroup());
    endsRanks(() => {});
  }

  /** For a rank that has failed: its engine may be waiting for others, and `close` does not wait for it any more. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** The profile of an engine with `profile`. @throws LowrankError E_STATE */
  async profile(): Promise<EngineProfile> {
    return call(() => this.#engine.profile());
  }

  async optimizerState(adapter = 0): Promise<OptimizerState> {
    return call(() => this.#engine.optimizerState(adapter));
  }

  async setOptimizerState(state: OptimizerState, adapter = 0): Promise<void> {
    return call(() => this.#engine.setOptimizerState(state, adapter));
  }

  /**
   * Starts a generation: clears the text's key/value cache, reads the prompt and returns the first sampled token. The
   * prompt and its continuation must fit `cacheTokens`.
   * @param text number of the text, below `EngineOptions.texts`
   * @param like number of a text that was started with this adapter, whose parameters have not changed since. The tokens that both begin with
   *   are not computed again. The text is the same, bit for bit
   */
  async generateStart(
    prompt: Int32Array,
    sampling: SamplingOptions,
    adapter = 0,
    text = 0,
    like?: number,
  ): Promise<number> {
    return this.#sampled(() => this.#engine.generateStart(prompt, sampling, adapter, text, like));
  }

  /** Appends a token (normally the one returned last) and returns the next. */
  async generateNext(token: number, text = 0): Promise<number> {
    return this.#sampled(() => this.#engine.generateNext(token, text));
  }

  /**
   * Appends a token to each of some texts that were started with one adapter; they go through the model together.
   * @param texts their numbers. @param tokens one of each
   * @returns the next token of each, bit for bit the one of `generateNext`
   */
  async generateNextOf(texts: Int32Array, tokens: Int32Array): Promise<Int32Array> {
    return this.#sampled(() => this.#engine.generateNextOf(texts, tokens));
  }

  async #sampled<T>(sample: () => Promise<T>): Promise<T> {
    try {
      return await call(sample);
    } catch (error) {
      if (error instanceof LowrankError && error.code === "E_NAN") await this.checkWeights();
      throw error;
    }
  }

  /**
   * The weight of a linear with its adapter merged, W + scale * B A (with DoRA its rows times their factors) computed in f32 and rounded once to the weight's
   * dtype; raw bytes in row-major order. A weight that was quantised while it was loaded is merged as it is stored.
   * @param decoded W is the weight that products are computed with, decoded where it is quantised, and the bytes are of this dtype; a linear of
   * a block or a head without an adapter is decoded alone
   */
  async mergedWeight(module: string, adapter = 0, decoded?: PlainDtype): Promise<Uint8Array> {
    return call(() => this.#engine.mergedWeight(module, adapter, decoded));
  }

  /** A linear's bias with the bias of its adapter's B merged, in `dtype`. @throws LowrankError E_TARGET where one of them is missing */
  async mergedBias(module: string, dtype: PlainDtype, adapter = 0): Promise<Uint8Array> {
    return call(() => this.#engine.mergedBias(module, dtype, adapter));
  }

  /** Finishes the queued commands, then frees everything. */
  async close(): Promise<void> {
    if (this.#isAbandoned) return;
    return call(() => this.#engine.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
