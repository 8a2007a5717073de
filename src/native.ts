import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type {
  AdapterSpec,
  AdapterTensors,
  Batch,
  CpuInfo,
  EngineOptions,
  EngineProfile,
  LinearModule,
  MemoryItem,
  ModelSource,
  OptimizerOptions,
  OptimizerState,
  QuantizationMaps,
  QuantizedTensor,
  SamplingOptions,
  TensorEntry,
} from "./engine.js";
import { LowrankError } from "./errors.js";

/** The addon's engine class; `Engine` in engine.ts is its public face. */
export interface NativeEngine {
  open(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions): Promise<void>;
  /** Of `open`, so far: weights that were quantised, and bytes copied, of so many. */
  loadProgress(): { quantized: number; copied: number; toCopy: number };
  parameterCounts(): Promise<{ trainable: number; total: number }>;
  forwardBackward(batch: Batch, lossScale: number, rngStream: number): Promise<number>;
  optimizerStep(options: OptimizerOptions): Promise<number>;
  evaluate(batch: Batch): Promise<number>;
  logits(batch: Batch): Promise<Float32Array>;
  gradients(): Promise<AdapterTensors>;
  adapter(): Promise<AdapterTensors>;
  setAdapter(tensors: AdapterTensors): Promise<void>;
  optimizerState(): Promise<OptimizerState>;
  setOptimizerState(state: OptimizerState): Promise<void>;
  generateStart(prompt: Int32Array, sampling: SamplingOptions): Promise<number>;
  generateNext(token: number): Promise<number>;
  profile(): Promise<EngineProfile>;
  matmulPeak(): Promise<number>;
  mergedWeight(module: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Holds a lock until it is unlocked or collected, or its thread or process ends. */
export type FileLock = { readonly __lock: unique symbol };

export interface NativeAddon {
  cpuInfo(): CpuInfo;
  detach(buffer: ArrayBufferLike): void;
  trimHeaps(): void;
  quantize(tensor: TensorEntry, threads: number): QuantizedTensor;
  quantizationMaps(): QuantizationMaps;
  supportedArchitectures(): string[];
  listLinears(source: ModelSource): LinearModule[];
  planMemory(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions): MemoryItem[];
  mapFile(path: string): ArrayBuffer;
  copiedBytes(path: string): number;
  releasePages(buffer: ArrayBuffer): void;
  /** A number is the system's error. */
  lockFile(path: string): FileLock | "held" | "unsupported" | number;
  unlockFile(lock: FileLock): void;
  Engine: new () => NativeEngine;
}

let addon: NativeAddon | undefined;

/** The native addon, loaded at first use. @throws LowrankError naming every place that was tried. */
export function native(): NativeAddon {
  if (addon) return addon;
  const require = createRequire(import.meta.url);
  const tried: string[] = [];
  // LOWRANK_BUILD is for builds beside the usual ones, such as one with sanitizers.
  const other = process.env.LOWRANK_BUILD;
  for (const config of other ? [other] : ["Release", "Debug"]) {
    const path = fileURLToPath(new URL(`../build/${config}/lowrank.node`, import.meta.url));
    if (!existsSync(path)) {
      tried.push(`${path}: not there`);
      continue;
    }
    try {
      addon = require(path) as NativeAddon;
      return addon;
    } catch (error) {
      tried.push(`${path}: ${(error as Error).message}`);
    }
  }
  throw new LowrankError(
    "E_NO_ADDON",
    `The native addon could not be loaded. Tried:\n  ${tried.join("\n  ")}\nBuild it with: npm run build:native`,
  );
}
