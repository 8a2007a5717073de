import { LowrankError } from "../base/errors.js";
import { type NativeEngine, native } from "./addon.js";
import { call } from "./call.js";
import { checkFinite } from "./quantize.js";
import type {
  AdapterSpec,
  AdapterTensors,
  Batch,
  EngineOptions,
  EngineProfile,
  ModelSource,
  OnLoading,
  OptimizerOptions,
  OptimizerState,
  SamplingOptions,
} from "./types.js";

/** Between two looks at how far an engine is that is being created. */
const PROGRESS_MS = 100;

/**
 * One model with at most one adapter, on a native thread of its own. Calls are queued and run in order; none blocks
 * the event loop. After `close` every call rejects with `E_CLOSED`.
 */
export class Engine {
  readonly #engine: NativeEngine;
  readonly #source: ModelSource;
  readonly #threads: number;

  private constructor(engine: NativeEngine, source: ModelSource, threads: number) {
    this.#engine = engine;
    this.#source = source;
    this.#threads = threads;
  }

  /**
   * Maps the weights, quantises and copies those that are to be, allocates what `planMemory` says and initialises the adapter.
   * @param onLoading told now and then, and at the end, how far that is: how many weights are quantised, or bytes copied
   */
  static async create(
    source: ModelSource,
    adapter: AdapterSpec | null,
    options: EngineOptions,
    onLoading?: OnLoading,
  ): Promise<Engine> {
    return call(async () => {
      const engine = new (native().Engine)();
      const toQuantize = source.tensors.filter(({ quantize }) => quantize).length;
      // What the system refused to copy stays mapped, and is done as well once the engine is open.
      const tell = (isOpen: boolean) => {
        const { quantized, copied, toCopy } = engine.loadProgress();
        if (toQuantize > 0) onLoading?.("quantising", isOpen ? toQuantize : quantized, toQuantize);
        if (toCopy > 0) onLoading?.("copying", isOpen ? toCopy : copied, toCopy);
      };
      const timer = onLoading && setInterval(() => tell(false), PROGRESS_MS);
      try {
        await engine.open(source, adapter, options);
      } finally {
        clearInterval(timer);
      }
      tell(true);
      return new Engine(engine, source, options.threads);
    });
  }

  /** Number of trainable parameters and of all parameters, adapters included. */
  async parameterCounts(): Promise<{ trainable: number; total: number }> {
    return call(() => this.#engine.parameterCounts());
  }

  /**
   * Adds the gradient of `lossScale` times the summed cross-entropy of a micro-batch to the gradients. For the mean
   * over an accumulation window, `lossScale` is one over the number of supervised tokens of the whole window.
   * @param rngStream numbers the micro-batch within the run; dropout masks depend on the run's seed and on this alone
   * @returns the sum of the token losses, unscaled
   */
  async forwardBackward(batch: Batch, lossScale: number, rngStream: number): Promise<number> {
    return call(() => this.#engine.forwardBackward(batch, lossScale, rngStream));
  }

  /** Clips, applies AdamW, clears the gradients. Returns the global gradient norm before clipping. Where the norm is not finite nothing is applied. */
  async optimizerStep(options: OptimizerOptions): Promise<number> {
    return call(() => this.#engine.optimizerStep(options));
  }

  /** Sum of the token losses of a batch; no dropout, no gradients. */
  async evaluate(batch: Batch): Promise<number> {
    return call(() => this.#engine.evaluate(batch));
  }

  /**
   * For results that are not numbers: looks for a reason in the base's files.
   * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
   */
  async checkWeights(): Promise<void> {
    await checkFinite(this.#source, this.#threads);
  }

  /** Logits (tokens, vocab), row-major, of every token of a batch. For tests and small inputs. */
  async logits(batch: Batch): Promise<Float32Array> {
    return call(() => this.#engine.logits(batch));
  }

  /** Gradients accumulated so far, `dA` and `dB` under the adapter tensors' names. */
  async gradients(): Promise<AdapterTensors> {
    return call(() => this.#engine.gradients());
  }

  async adapter(): Promise<AdapterTensors> {
    return call(() => this.#engine.adapter());
  }

  /** Replaces every adapter tensor. @throws LowrankError where one is missing, unknown or of the wrong shape. */
  async setAdapter(tensors: AdapterTensors): Promise<void> {
    return call(() => this.#engine.setAdapter(tensors));
  }

  /**
   * FLOP/s of a product at its best, with this engine's threads and precision.
   * @param again measures it again; otherwise only the first call does. The best of all measurements counts
   */
  async matmulPeak(again = false): Promise<number> {
    return call(() => this.#engine.matmulPeak(again));
  }

  /** Of an engine with `profile`. @throws LowrankError E_STATE */
  async profile(): Promise<EngineProfile> {
    return call(() => this.#engine.profile());
  }

  async optimizerState(): Promise<OptimizerState> {
    return call(() => this.#engine.optimizerState());
  }

  async setOptimizerState(state: OptimizerState): Promise<void> {
    return call(() => this.#engine.setOptimizerState(state));
  }

  /**
   * Starts a generation: clears the key/value cache, reads the prompt and returns the first sampled token.
   * The prompt and what follows must fit `cacheTokens`.
   */
  async generateStart(prompt: Int32Array, sampling: SamplingOptions): Promise<number> {
    return this.#sampled(() => this.#engine.generateStart(prompt, sampling));
  }

  /** Appends a token (normally the one returned last) and returns the next. */
  async generateNext(token: number): Promise<number> {
    return this.#sampled(() => this.#engine.generateNext(token));
  }

  async #sampled(sample: () => Promise<number>): Promise<number> {
    try {
      return await call(sample);
    } catch (error) {
      if (error instanceof LowrankError && error.code === "E_NAN") await this.checkWeights();
      throw error;
    }
  }

  /**
   * The weight of a linear with its adapter merged, W + scale * B A computed in f32 and rounded once to the weight's
   * dtype; raw bytes in row-major order.
   */
  async mergedWeight(module: string): Promise<Uint8Array> {
    return call(() => this.#engine.mergedWeight(module));
  }

  /** Finishes what is queued, then frees everything. */
  async close(): Promise<void> {
    return call(() => this.#engine.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
