// The data that crosses the addon.
import type { ModelSpec, ProblemType } from "./spec.js";

/** Numbers of a decoder, as in Hugging Face's config.json. Its family's file adds others, for itself. */
export interface ModelConfig {
  modelType: string;
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  maxPositions: number;
  tieWordEmbeddings: boolean;
  /** Undefined: none. */
  dropouts?: Dropouts | undefined;
  classifier?: ClassifierConfig | undefined;
}

/** Dropouts of a base in training; 0: none. */
export interface Dropouts {
  /** Of the embeddings. */
  embedding: number;
  /** Of attention's probabilities. */
  attention: number;
  /** Of the outputs that attention and MLP add to the stream. */
  attentionOutput: number;
  mlpOutput: number;
}

/** Numbers of a classifier of texts, as in config.json. */
export interface ClassifierConfig {
  /** Names in the order of their numbers. */
  labels: string[];
  problem: ProblemType;
  padId: number | undefined;
  initStd: number;
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
  /** For nf4 and fp4: its maxima are quantised, too. */
  doubleQuant: boolean;
  /** For nf4 and fp4: elements that share a maximum; default 64. */
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
  /** Block i of rows, all blocks of equal size, is the stored block rowBlocks[i]; the engine holds a copy in order, until it has quantised it. */
  rowBlocks?: number[];
  /** The matrix is stored (in, out), and so is `shape`; of plain dtypes. */
  transposed?: boolean;
  /** For nf4 and fp4: elements that share a maximum. */
  blockSize?: number;
  /** Maxima, f32: of nf4 and fp4 one a block, or of 256 blocks where they have codes; of i8 one a row. */
  absmax?: FileRange;
  /**
   * For nf4 and fp4 with double quantisation: a byte for each block's maximum, the values of these bytes (256 f32), and an
   * offset to add.
   */
  absmaxCodes?: FileRange;
  absmaxMap?: FileRange;
  absmaxOffset?: number;
  /**
   * For i8, stored or made while it is loaded: activations are rounded to 8 bits in the forward pass, except columns with a
   * magnitude of at least this threshold (LLM.int8). 0, the default: they are not rounded.
   */
  outlierThreshold?: number;
  /** For i8, stored or made while it is loaded: the backward pass rounds the gradient of the linear's output to codes of 8 bits. Default: it does not. */
  gradientCodes?: "nearest" | "stochastic";
  /** The format to which the engine quantises a plain weight while it loads it. */
  quantize?: QuantizeSpec;
}

/** A repository of the Hugging Face hub. */
export interface ModelOrigin {
  /** OWNER/NAME. */
  name: string;
  /** Branch, tag or commit, where one was asked for. */
  revision: string | undefined;
}

/** A base model on disk. The tensors are mapped; see `EngineOptions.copyWeights`. */
export interface ModelSource {
  folder: string;
  /** Set where the folder is a snapshot of a repository of the hub. */
  origin?: ModelOrigin | undefined;
  config: ModelConfig;
  /** Follows from the configuration; the engine reads this alone. */
  spec: ModelSpec;
  tensors: TensorEntry[];
}

/** Rows of a table that train in the place of the base's. */
export interface TokenRows {
  /** Full name of the embedding's or the head's module. */
  module: string;
  ids: number[];
}

export interface AdapterSpec {
  rank: number;
  alpha: number;
  dropout: number;
  useRslora: boolean;
  /** A bias of each B, as PEFT's lora_bias. Default false. */
  bias?: boolean | undefined;
  /** DoRA: magnitudes of the outputs train, too. Default false. */
  useDora?: boolean | undefined;
  /** LoRA-FA (Zhang et al., 2023): A is frozen. Default false. */
  freezeA?: boolean | undefined;
  /**
   * The second halves of A's rows and of B's columns are frozen, as PiSSA and OLoRA need it: there the trained halves begin as the largest
   * part of the base, and the frozen ones take it away. rank and alpha are of both halves. Default false.
   */
  freezesHalf?: boolean | undefined;
  /** The method that makes both halves: "pissa", "pissa_niter_N" or "olora". Undefined where the tensors are loaded. */
  initialFactors?: string | undefined;
  /** NEFTune: noise on the embeddings in training, of this size over the root of tokens times hidden size. Default 0, none. */
  neftuneNoiseAlpha?: number | undefined;
  /** Training has the dropouts of the base. Default true. */
  baseDropout?: boolean | undefined;
  /** Full module names, see `listLinears`. */
  targets: string[];
  /** The embedding's and the head's module, where they train whole: copies of their own, also where the base's head is its embedding. */
  whole?: string[] | undefined;
  /** Rows of single tokens that train in the place of the base's. Where the head is the embedding, it has the embedding's. */
  tokens?: TokenRows[] | undefined;
  /** Of single targets, by full name, in place of rank and alpha. */
  ranks?: Record<string, number> | undefined;
  alphas?: Record<string, number> | undefined;
  /** Seed of the initial A (Kaiming uniform, as PEFT); B starts at zero. */
  seed: number;
}

/** The adapters of an engine: none, one, or several, which are numbered from 0 on. */
export type AdapterSpecs = AdapterSpec | readonly AdapterSpec[] | null;

export const PRECISIONS = ["fp32", "bf16", "fp16"] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface Device {
  /** As `EngineOptions.device` takes it, such as "cuda:0". */
  name: string;
  description: string;
  memoryBytes: number;
  freeBytes: number;
}

export interface Devices {
  found: Device[];
  /** Why there are no others, in words; empty where there is nothing to say. */
  missing: string;
}

export interface EngineOptions {
  /** The name of a device; default "cpu". A plan may be of a device that is not there. */
  device?: string;
  /**
   * The ranks that train with this one: "mpi", for those that mpirun or srun started. `optimizerStep` then steps with the gradients and
   * losses of all ranks, which must make the same calls. Default: this process is alone.
   */
  group?: "mpi";
  /** Seconds after which a call that waits for other ranks rejects with `E_TIMEOUT`, which names those that do not answer. Default 1800. */
  groupTimeout?: number;
  /**
   * The dtype of products and activations; adapters, their gradients and the running sums are f32. fp16 needs a loss
   * scale.
   */
  precision: Precision;
  /** Worker threads, at least 1. */
  threads: number;
  /**
   * Tokens of the largest usual micro-batch or prompt. It bounds the memory, not the batch: a larger batch goes through the model in pieces of
   * whole sequences, and a longer prompt in pieces, with the same result. A sequence of a batch that is longer is an error (`E_BATCH`); to an
   * engine that trains, `evaluate`, `classify` and `logits` may give up to maxSequence tokens at once.
   */
  maxTokens: number;
  /** Longest sequence; for generation the most tokens held in the key/value cache. */
  maxSequence: number;
  /** Most tokens held in the key/value cache, prompt and continuation together; 0 for no generation. Default maxSequence. */
  cacheTokens?: number;
  /** Texts that may be generated at a time, each with a key/value cache; default 1. */
  texts?: number;
  /** Whether `forwardBackward` and `optimizerStep` will be called. */
  training: boolean;
  /**
   * Gradient checkpointing: this number of the lowest blocks keep only their input and are computed again, bit for
   * bit, in the backward pass. Default 0.
   */
  checkpointedBlocks?: number;
  /**
   * Whether the embedding stays in the host's memory where the device has memory of its own, and the rows of each piece's tokens are uploaded:
   * to the same bits. Without effect where the head is the embedding. Default false.
   */
  offloadEmbedding?: boolean;
  /** Whether the inputs of `checkpointedBlocks` lie in pinned memory of the host where the device has memory of its own: to the same bits. Default false. */
  offloadCheckpoints?: boolean;
  /** Default adamw, with moments in f32. adamw_8bit keeps moments of tensors of at least 4,096 elements in 8 bits. */
  optimizer?: Optimizer;
  /**
   * Whether the engine may copy the weights that every step reads into memory of this process, where the page cache holds
   * their file in small pages. In large pages they are read faster, but shared with no other process. Engines of this process
   * share the copy. The engine that opens the file first decides. Default false.
   */
  copyWeights?: boolean;
  /**
   * Without `copyWeights`: whether such weights are read from the disk again, so that the page cache holds them in large pages where the system
   * can. For several processes that share them. Default false.
   */
  rereadWeights?: boolean;
  /** Whether operations are timed, for `profile`. Default false. */
  profile?: boolean;
}

export interface MicroBatchOptions {
  /** The adapter's number; default 0. */
  adapter?: number | undefined;
  /**
   * Whether it is this rank's last one before `optimizerStep`. The sums over the ranks then begin with the blocks that are done, while lower
   * blocks go backward. Another micro-batch before the step rejects with `E_STATE`. Default false.
   */
  isLast?: boolean | undefined;
}

export interface GroupReadings {
  rank: number;
  size: number;
  /** Seconds spent in calls of the group so far, waiting for other ranks and sending. */
  waited: number;
  /** Whether gradients are summed on the device, where they lie. */
  sumsOnDevice: boolean;
  /** By what, such as "NCCL 2.27.3"; else why not, in words. Empty for a processor. */
  aboutSums: string;
}

/** Times since the last call. */
export interface EngineProfile {
  /** FLOP/s of a product at its best, with these threads, in this precision; measured anew, the best of all counts. */
  matmulPeak: number;
  names: string[];
  /** Four numbers a call: the name's number, seconds from the engine's start to the call, seconds it took, FLOP of its products. */
  events: Float64Array;
}

export type MemoryPlace = "host" | "mapped" | "device";

export interface MemoryItem {
  /** Such as "weights" (with `copyWeights`, else "weights (mapped)"), "activations", "workspace", "adapters", "optimizer", "key/value cache". */
  name: string;
  bytes: number;
  /** mapped: page cache of files, which is given back to the system when something else needs the memory; device: not of the host. */
  place: MemoryPlace;
  /** Set of what no command leaves anything in: `Engine.trim` gives it back to the system, but for some tables. */
  idle?: true;
}

export interface MemoryPlan {
  items: MemoryItem[];
  totalBytes: number;
}

/** Tokens of one text. The views may lie in a mapped file; they are read during the call and not kept. */
export interface Sequence {
  inputIds: Int32Array;
  /**
   * 1 where the token is to be learned, that is predicted from the tokens before it; without it, every token but the
   * first.
   */
  lossMask?: Uint8Array;
  /** For models with token types: of each token; default 0. */
  tokenTypes?: Uint8Array;
  /** For classifiers: the number of the class; for regression and several labels a number for each label. */
  labels?: Float32Array;
}

/** One micro-batch of sequences. The engine lays them one after the other, without padding unless it is asked for. */
export interface Batch {
  sequences: Sequence[];
  /** Shorter sequences are padded to this number of tokens with `padId`. Padding is not learned. Default 0. */
  padTo?: number;
  padId?: number;
}

/** Most learning rates of a step, and so the most steps of fp16 between two readings. */
export const MOST_LEARNING_RATES = 64;

export interface OptimizerOptions {
  /**
   * Several, at most `MOST_LEARNING_RATES`: the first where no step was skipped since the last reading, the second where one was, and
   * so on, so that a schedule stands still in skipped steps.
   */
  learningRate: number | readonly number[];
  weightDecay: number;
  /** LoRA+: factor of the learning rate of B and of vectors. Default 1. */
  loraplusLrRatio?: number;
  /** Clip the global L2 norm of the gradients to this; 0 or Infinity switches clipping off. */
  maxGradNorm: number;
  /** Factor that the gradients carry beside `Readings.lossScale`; it is divided out. Default 1. */
  lossScale?: number;
  /** Learned tokens of the accumulation window: `Readings.loss` is their mean. Default 1. */
  tokens?: number;
  /** Of fp16: applied steps after which the loss scale doubles; a skipped one halves it. Default 0: the scale is fixed. */
  growthSteps?: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
}

/** Numbers that an adapter's training steps left with the engine. */
export interface Readings {
  /** Sum of the token losses of the accumulation window in progress. */
  windowLoss: number;
  /** Of the last step: the mean over the window's learned tokens; the gradients' global L2 norm before clipping. */
  loss: number;
  gradNorm: number;
  /** Sums of the steps' losses and their number, since they were last set; a loss that is no number is not part of them. */
  intervalLosses: number;
  intervalSteps: number;
  totalLosses: number;
  totalSteps: number;
  /** All steps, and the steps whose gradients were not finite: nothing was applied. */
  steps: number;
  skippedSteps: number;
  /** Factor of the gradients beside the call's factor; applied steps since it changed. */
  lossScale: number;
  goodSteps: number;
  /** The first step whose loss or norm is no number: `steps` after it; 0: none. */
  badStep: number;
  badLoss: number;
  badNorm: number;
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

/**
 * Adapter tensors by name, f32 row-major: `<module>.lora_A.weight` (R, I), `<module>.lora_B.weight` (O, R) and, where the adapter has them,
 * `<module>.lora_B.bias` (O) and `<module>.lora_magnitude_vector` (O); of a classifier's trained layers `<module>.weight` (O, I) and
 * `<module>.bias` (O).
 */
/** Tensors of an adapter that are treated alike: the engine's AdapterTensor::Role. */
export type TensorRole =
  | "lora_a"
  | "lora_b"
  | "lora_bias"
  | "magnitude"
  | "whole"
  | "embedding"
  | "head"
  | "embedding_rows"
  | "head_rows";

/** A tensor that an adapter trains. */
export interface AdapterTensor {
  shape: number[];
  role: TensorRole;
}

export type AdapterTensors = Map<string, { shape: number[]; data: Float32Array }>;

export const OPTIMIZERS = ["adamw", "adamw_8bit"] as const;
export type Optimizer = (typeof OPTIMIZERS)[number];

/** A tensor's moments: f32 of small ones, else codes (bitsandbytes' dynamic maps) with a maximum for each block of 256. */
export type Moments =
  | { m: Float32Array; v: Float32Array }
  | { m: Uint8Array; v: Uint8Array; mMax: Float32Array; vMax: Float32Array };

/**
 * The state of `adamw`, or of `adamw_8bit`, by the adapter tensors' names; `m` is the first moment, `v` the second.
 */
export type OptimizerState = { /** Number of optimizer steps made. */ step: number } & (
  | { m: AdapterTensors; v: AdapterTensors }
  | { moments: Map<string, Moments> }
);

/** This machine's processor, as the native code sees it. */
export interface CpuInfo {
  /** Chosen instruction set, such as "avx512bf16"; `LOWRANK_CPU` overrides it. */
  isa: string;
  available: string[];
}

export interface QuantizedTensor {
  codes: ArrayBuffer;
  /** f32 */
  absmax: ArrayBuffer;
  absmaxCodes?: ArrayBuffer;
  absmaxOffset?: number;
}

/** Values of the codes: of nf4 and fp4 (16 each), of their maxima and of 8-bit AdamW's m (dynamic), of its v (256 each). */
export type QuantizationMaps = Record<"nf4" | "fp4" | "dynamic" | "dynamicUnsigned", Float32Array>;

/** Work that takes time while weights are loaded. */
export type LoadingWork = "quantising" | "copying";
export type OnLoading = (work: LoadingWork, done: number, total: number) => void;
