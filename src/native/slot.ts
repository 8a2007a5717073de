import type { Engine } from "./engine.js";
import type {
  AdapterTensors,
  Batch,
  MicroBatchOptions,
  OptimizerOptions,
  OptimizerState,
  Readings,
  SamplingOptions,
} from "./types.js";

/** The commands of a training run about its one adapter. Of an engine itself they mean its first adapter. */
export type AdapterEngine = Pick<
  Engine,
  | "forwardBackward"
  | "optimizerStep"
  | "readings"
  | "setReadings"
  | "evaluate"
  | "classify"
  | "adapter"
  | "setAdapter"
  | "optimizerState"
  | "setOptimizerState"
  | "checkWeights"
  | "matmulPeak"
  | "trim"
  | "devicePlans"
  | "takeDevicePlans"
  | "generateStart"
  | "generateNext"
>;

/** One of an engine's adapters, by its number. Its texts share the engine's first text. */
export class Slot implements AdapterEngine {
  readonly #engine: Engine;
  readonly #adapter: number;

  constructor(engine: Engine, adapter: number) {
    this.#engine = engine;
    this.#adapter = adapter;
  }

  forwardBackward(
    batch: Batch,
    lossScale: number,
    rngStream: number,
    { isLast = false }: Pick<MicroBatchOptions, "isLast"> = {},
  ): Promise<void> {
    return this.#engine.forwardBackward(batch, lossScale, rngStream, { adapter: this.#adapter, isLast });
  }

  optimizerStep(options: OptimizerOptions): Promise<void> {
    return this.#engine.optimizerStep(options, this.#adapter);
  }

  readings(): Promise<Readings> {
    return this.#engine.readings(this.#adapter);
  }

  setReadings(readings: Partial<Readings>): Promise<void> {
    return this.#engine.setReadings(readings, this.#adapter);
  }

  evaluate(batch: Batch): Promise<number> {
    return this.#engine.evaluate(batch, this.#adapter);
  }

  classify(batch: Batch): Promise<{ logits: Float32Array; loss: number }> {
    return this.#engine.classify(batch, this.#adapter);
  }

  adapter(): Promise<AdapterTensors> {
    return this.#engine.adapter(this.#adapter);
  }

  setAdapter(tensors: AdapterTensors): Promise<void> {
    return this.#engine.setAdapter(tensors, this.#adapter);
  }

  optimizerState(): Promise<OptimizerState> {
    return this.#engine.optimizerState(this.#adapter);
  }

  setOptimizerState(state: OptimizerState): Promise<void> {
    return this.#engine.setOptimizerState(state, this.#adapter);
  }

  checkWeights(): Promise<void> {
    return this.#engine.checkWeights();
  }

  devicePlans(): Promise<string> {
    return this.#engine.devicePlans();
  }

  takeDevicePlans(plans: string): Promise<string | null> {
    return this.#engine.takeDevicePlans(plans);
  }

  matmulPeak(again?: boolean): Promise<number> {
    return this.#engine.matmulPeak(again);
  }

  trim(): Promise<void> {
    return this.#engine.trim();
  }

  generateStart(prompt: Int32Array, sampling: SamplingOptions): Promise<number> {
    return this.#engine.generateStart(prompt, sampling, this.#adapter);
  }

  generateNext(token: number): Promise<number> {
    return this.#engine.generateNext(token);
  }
}
