import { setImmediate } from "node:timers/promises";
import { getSystemErrorName } from "node:util";
import { LowrankError } from "./errors.js";
import { type FileLock, type NativeEngine, native } from "./native.js";

export type { FileLock };

/** Numbers of a LLaMA-family decoder, as in Hugging Face's config.json; read by `model/config.ts`, checked again natively. */
export interface ModelConfig {
  modelType: string;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  rmsNormEps: number;
  maxPositions: number;
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
  tieWordEmbeddings: boolean;
  attentionBias: boolean;
  mlpBias: boolean;
}

export interface RopeScaling {
  type: "linear" | "dynamic" | "llama3";
  factor: number;
  /** llama3 only. */
  lowFreqFactor?: number;
  /** llama3 only. */
  highFreqFactor?: number;
  /** llama3, dynamic: the context length the model was trained with. */
  originalMaxPositions?: number;
}

/** Formats of weights: plain, quantised as bitsandbytes does (nf4, fp4, i8), and the block types of GGUF files. */
export type WeightDtype =
  | PlainDtype
  | "nf4"
  | "fp4"
  | "i8"
  | "q4_0"
  | "q4_1"
  | "q5_0"
  | "q8_0"
  | "q4_k"
  | "q5_k"
  | "q6_k";
export type PlainDtype = "f32" | "bf16" | "f16";

/** Bytes of a file. */
export interface FileRange {
  file: string;
  offset: number;
  bytes: number;
}

/** How a plain weight is stored while it is loaded. */
export interface QuantizeSpec {
  format: "nf4" | "fp4" | "i8";
  /** Of nf4 and fp4: its maxima are quantised, too. */
  doubleQuant: boolean;
  /** Of nf4 and fp4: elements that share a maximum; default 64. */
  blockSize?: number;
}

/** One tensor of a safetensors file: `bytes` bytes from `offset` of `file`, row-major. */
export interface TensorEntry {
  name: string;
  dtype: WeightDtype;
  shape: number[];
  file: string;
  offset: number;
  bytes: number;
  /**
   * Rows of a head where its rotary pairs lie side by side: Hugging Face's row i of a head is the stored row 2i in its first
   * half, 2 (i - interleaved / 2) + 1 in its second.
   */
  interleaved?: number;
  /** Of nf4 and fp4: elements that share a maximum. */
  blockSize?: number;
  /** Maxima, f32: of nf4 and fp4 one a block, or of 256 blocks where they have codes; of i8 one a row. */
  absmax?: FileRange;
  /** Of nf4 and fp4 with double quantisation: a byte for each block's maximum, what it stands for (256 f32), and what is added. */
  absmaxCodes?: FileRange;
  absmaxMap?: FileRange;
  absmaxOffset?: number;
  /**
   * Of i8, stored or made while it is loaded: activations are rounded to 8 bits in the forward pass, but for columns with a
   * magnitude of at least this (LLM.int8). 0, the default: they stay as they are.
   */
  outlierThreshold?: number;
  /** What the engine makes of a plain weight while it loads it. */
  quantize?: QuantizeSpec;
}

/** A base model on disk. The tensors are mapped; see `EngineOptions.copyWeights`. */
export interface ModelSource {
  folder: string;
  config: ModelConfig;
  tensors: TensorEntry[];
}

/** A linear of the model that can carry an adapter, `name` as in Hugging Face: `model.layers.0.self_attn.q_proj`. */
export interface LinearModule {
  name: string;
  outFeatures: number;
  inFeatures: number;
}

export interface AdapterSpec {
  rank: number;
  alpha: number;
  dropout: number;
  useRslora: boolean;
  /** Full module names, see `listLinears`. */
  targets: string[];
  /** Of the initial A (Kaiming uniform, as PEFT); B starts at zero. */
  seed: number;
}

export const PRECISIONS = ["fp32", "bf16", "fp16"] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface EngineOptions {
  /** Of products and activations; adapters, their gradients and the running sums are f32. fp16 needs a loss scale. */
  precision: Precision;
  /** Worker threads, at least 1. */
  threads: number;
  /**
   * Tokens of the largest usual micro-batch or prompt. It bounds the memory, not the batch: sequences beyond it go through
   * the model piece by piece, with the same result.
   */
  maxTokens: number;
  /** Longest sequence; for generation the most tokens held in the key/value cache. */
  maxSequence: number;
  /** Most tokens held in the key/value cache, prompt and continuation together; 0 for no generation. Default maxSequence. */
  cacheTokens?: number;
  /** Whether `forwardBackward` and `optimizerStep` will be called. */
  training: boolean;
  /**
   * Gradient checkpointing: so many of the lowest blocks keep only their input and are computed again, bit for bit, in
   * the backward pass. Default 0.
   */
  checkpointedBlocks?: number;
  /** Default adamw, with moments in f32; adamw_8bit keeps those of tensors of at least 4,096 elements in 8 bits. */
  optimizer?: Optimizer;
  /**
   * Whether the engine may copy the weights that every step reads into memory of this process where the page cache holds their
   * file in small pages: in large ones they are read faster, but shared with no other process. Engines of this process share
   * them, as the one that opens the file first has it. Default false.
   */
  copyWeights?: boolean;
  /** Whether operations are timed, for `profile`. Default false. */
  profile?: boolean;
}

/** What was timed since the last call. */
export interface EngineProfile {
  /** FLOP/s of a product at its best, with these threads, in this precision; measured anew, the best of all counts. */
  matmulPeak: number;
  names: string[];
  /** Four numbers a call: the name's number, seconds from the engine's start to the call, seconds it took, FLOP of its products. */
  events: Float64Array;
}

export interface MemoryItem {
  /** Such as "weights" (with `copyWeights`, else "weights (mapped)"), "activations", "workspace", "adapters", "optimizer", "key/value cache". */
  name: string;
  bytes: number;
}

export interface MemoryPlan {
  items: MemoryItem[];
  totalBytes: number;
}

/** Tokens of one text. The views may lie in a mapped file; they are read during the call and not kept. */
export interface Sequence {
  inputIds: Int32Array;
  /** 1 where the token is to be learned, that is predicted from those before it; without it, every token but the first. */
  lossMask?: Uint8Array;
}

/** One micro-batch of sequences. The engine lays them one after the other, without padding unless it is asked for. */
export interface Batch {
  sequences: Sequence[];
  /** Shorter sequences are padded to so many tokens with `padId`; nothing is learned there. Default 0. */
  padTo?: number;
  padId?: number;
}

export interface OptimizerOptions {
  learningRate: number;
  weightDecay: number;
  /** Clip the global L2 norm of the gradients to this; 0 or Infinity switches clipping off. */
  maxGradNorm: number;
  /** Factor that the gradients carry, as fp16's loss scale; it is divided out. Default 1. */
  lossScale?: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
}

export interface SamplingOptions {
  /** 0 is greedy. */
  temperature: number;
  /** 0 switches it off. */
  topK: number;
  /** 1 switches it off. */
  topP: number;
  seed: number;
}

/** Adapter tensors by name, `<module>.lora_A.weight` (R, I) and `<module>.lora_B.weight` (O, R), f32 row-major. */
export type AdapterTensors = Map<string, { shape: [number, number]; data: Float32Array }>;

export const OPTIMIZERS = ["adamw", "adamw_8bit"] as const;
export type Optimizer = (typeof OPTIMIZERS)[number];

/** A tensor's moments: f32 of small ones, else codes (bitsandbytes' dynamic maps) with a maximum for each block of 256. */
export type Moments =
  | { m: Float32Array; v: Float32Array }
  | { m: Uint8Array; v: Uint8Array; mMax: Float32Array; vMax: Float32Array };

/** Of `adamw`, or of `adamw_8bit`, by the adapter tensors' names; `m` is the first moment, `v` the second. */
export type OptimizerState = { /** Number of optimizer steps made. */ step: number } & (
  | { m: AdapterTensors; v: AdapterTensors }
  | { moments: Map<string, Moments> }
);

/** What the native code found out about this machine. */
export interface CpuInfo {
  /** Chosen instruction set, such as "avx512bf16"; `LOWRANK_CPU` overrides it. */
  isa: string;
  available: string[];
}

/** Between two looks at how far an engine is that is being created. */
const PROGRESS_MS = 100;

/** What takes time while weights are loaded. */
export type LoadingWork = "quantising" | "copying";
export type OnLoading = (work: LoadingWork, done: number, total: number) => void;

/** Errors of the native code as `LowrankError`. */
function rethrow(error: unknown): never {
  const e = error as { code?: string; message?: string; where?: string };
  if (typeof e?.code === "string" && e.code.startsWith("E_")) {
    throw new LowrankError(e.code, e.message ?? "unknown native error", e.where, { cause: error });
  }
  throw error;
}

async function call<T>(f: () => Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (error) {
    rethrow(error);
  }
}

function callSync<T>(f: () => T): T {
  try {
    return f();
  } catch (error) {
    rethrow(error);
  }
}

export function cpuInfo(): CpuInfo {
  return callSync(() => native().cpuInfo());
}

/**
 * A file's bytes, mapped and not read: pages come from the page cache as they are touched. Writing to the buffer changes
 * neither the file nor what others see. Where the file is cut while it is mapped, zeros are read: `mappedProblem` tells.
 * @throws LowrankError E_FILE
 */
export function mapFile(path: string): ArrayBuffer {
  return callSync(() => native().mapFile(path));
}

/** Gives the resident pages of a buffer of `mapFile` back to the system; its content stays. */
export function releasePages(buffer: ArrayBuffer): void {
  callSync(() => native().releasePages(buffer));
}

/**
 * What happened to the file of a buffer of `mapFile` since then (cut, written to, lost), and what to do; null: nothing, and what was read
 * before is right. A change is told by size and time of change. `Engine` asks it of the tokens of each batch.
 */
export function mappedProblem(buffer: ArrayBuffer): string | null {
  return callSync(() => native().mappedProblem(buffer));
}

/**
 * Locks a file, which is made where there is none, without waiting. The system drops the lock when the process ends, however it does;
 * so do `unlockFile`, the end of this worker thread, and collection of the lock. Two locks of one file exclude each other within a process, too.
 * @returns "held" where another has it, "unsupported" where the file system knows no such locks
 * @throws the system's error, with errno and code as those of node:fs have them
 */
export function lockFile(path: string): FileLock | "held" | "unsupported" {
  const result = callSync(() => native().lockFile(path));
  if (typeof result !== "number") return result;
  const code = getSystemErrorName(-result);
  throw Object.assign(new Error(`${code}: lock '${path}'`), { errno: -result, code, syscall: "lock", path });
}

export function unlockFile(lock: FileLock): void {
  callSync(() => native().unlockFile(lock));
}

/** Bytes of a file of weights that this process's engines have copied, see `EngineOptions.copyWeights`. */
export function copiedBytes(path: string): number {
  return callSync(() => native().copiedBytes(path));
}

/** Frees the tensors' memory now rather than when it is collected; they are empty from then on. */
export function freeTensors(...groups: AdapterTensors[]): void {
  for (const tensors of groups) for (const { data } of tensors.values()) native().detach(data.buffer);
}

/** Gives memory that was freed and kept for later, in any thread, back to the system; takes milliseconds. */
export function trimHeaps(): void {
  native().trimHeaps();
}

export interface QuantizedTensor {
  codes: ArrayBuffer;
  /** f32 */
  absmax: ArrayBuffer;
  absmaxCodes?: ArrayBuffer;
  absmaxOffset?: number;
}

/** A matrix as `tensor.quantize` says, with so many threads. @throws LowrankError E_FILE, E_QUANTIZED, E_TENSOR_SHAPE */
export function quantizeTensor(tensor: TensorEntry, threads: number): QuantizedTensor {
  return callSync(() => native().quantize(tensor, threads));
}

/**
 * Looks at every number of a model's files, with so many threads; in the order of the files.
 * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
 */
export async function checkFinite({ tensors }: Pick<ModelSource, "tensors">, threads: number): Promise<void> {
  for (const tensor of tensors) {
    if (!callSync(() => native().isFinite(tensor, threads))) {
      const message = `${tensor.file}: tensor ${tensor.name} holds NaN or infinity: the file is damaged, or its model had diverged before it was saved. Download or save it again.`;
      throw new LowrankError("E_TENSOR_VALUE", message, tensor.name);
    }
    // A large tensor takes a while.
    await setImmediate();
  }
}

/** What codes stand for: those of nf4 and fp4 (16 each), of their maxima and of 8-bit AdamW's m (dynamic), of its v (256 each). */
export type QuantizationMaps = Record<"nf4" | "fp4" | "dynamic" | "dynamicUnsigned", Float32Array>;

export function quantizationMaps(): QuantizationMaps {
  return native().quantizationMaps();
}

/** Architectures (`model_type`) that the native code knows. */
export function supportedArchitectures(): string[] {
  return native().supportedArchitectures();
}

/**
 * Every linear of the model that can carry an adapter, in order of use.
 * @throws LowrankError where a tensor is missing or has the wrong shape.
 */
export function listLinears(source: ModelSource): LinearModule[] {
  return callSync(() => native().listLinears(source));
}

/** What an engine with these options will allocate. Nothing is allocated here. */
export function planMemory(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions): MemoryPlan {
  const items = callSync(() => native().planMemory(source, adapter, options));
  return { items, totalBytes: items.reduce((sum, item) => sum + item.bytes, 0) };
}

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
