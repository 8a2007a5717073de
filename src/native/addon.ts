import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { LowrankError } from "../base/errors.js";
import type { ModelSpec } from "./spec.js";
import type {
  AdapterSpec,
  AdapterSpecs,
  AdapterTensor,
  AdapterTensors,
  Batch,
  CpuInfo,
  Devices,
  EngineOptions,
  EngineProfile,
  GroupReadings,
  MemoryItem,
  ModelSource,
  OptimizerOptions,
  OptimizerState,
  PlainDtype,
  QuantizationMaps,
  QuantizedTensor,
  Readings,
  SamplingOptions,
  TensorEntry,
} from "./types.js";

/** The addon's engine class; `Engine` in engine.ts is its public face. */
export interface NativeEngine {
  open(source: ModelSource, adapters: AdapterSpecs, options: EngineOptions): Promise<void>;
  /** Progress of `open`: weights quantised, bytes copied, and bytes to copy. */
  loadProgress(): { quantized: number; copied: number; toCopy: number };
  parameterCounts(adapter?: number): Promise<{ trainable: number; total: number }>;
  addAdapter(adapter: AdapterSpec): Promise<number>;
  removeAdapter(adapter: number): Promise<void>;
  forwardBackward(batch: Batch, lossScale: number, rngStream: number, adapter: number, isLast: boolean): Promise<void>;
  optimizerStep(options: OptimizerOptions, adapter?: number): Promise<void>;
  readings(adapter?: number): Promise<Readings>;
  setReadings(readings: Partial<Readings>, adapter?: number): Promise<void>;
  evaluate(batch: Batch, adapter?: number): Promise<number>;
  logits(batch: Batch, adapter?: number): Promise<Float32Array>;
  classify(batch: Batch, adapter?: number): Promise<{ logits: Float32Array; loss: number }>;
  gradients(adapter?: number): Promise<AdapterTensors>;
  adapter(adapter?: number): Promise<AdapterTensors>;
  setAdapter(tensors: AdapterTensors, adapter?: number): Promise<void>;
  optimizerState(adapter?: number): Promise<OptimizerState>;
  setOptimizerState(state: OptimizerState, adapter?: number): Promise<void>;
  generateStart(
    prompt: Int32Array,
    sampling: SamplingOptions,
    adapter?: number,
    text?: number,
    like?: number,
  ): Promise<number>;
  generateNext(token: number, text?: number): Promise<number>;
  generateNextOf(texts: Int32Array, tokens: Int32Array): Promise<Int32Array>;
  /** @param timeout seconds */
  joinGroup(kind: string, timeout: number): Promise<void>;
  /** After `joinGroup`: devices find their own way to each other, where they have one. */
  joinDevices(): Promise<void>;
  group(): Promise<GroupReadings>;
  sumOverRanks(values: Float64Array): Promise<Float64Array>;
  gatherTexts(text: string): Promise<string[]>;
  shareAdapter(adapter?: number): Promise<void>;
  finishGroup(): Promise<void>;
  abortGroup(): void;
  profile(): Promise<EngineProfile>;
  matmulPeak(again: boolean): Promise<number>;
  trim(): Promise<void>;
  devicePlans(): Promise<string>;
  takeDevicePlans(plans: string): Promise<string>;
  mergedWeight(module: string, adapter?: number, decoded?: PlainDtype): Promise<Uint8Array>;
  mergedBias(module: string, dtype: PlainDtype, adapter?: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Holds a lock until it is unlocked or collected, or its thread or process ends. */
export type FileLock = { readonly __lock: unique symbol };

export interface NativeAddon {
  cpuInfo(): CpuInfo;
  devices(): Devices;
  /** Why there are no groups of ranks; empty where there may be. */
  groupProblem(): string;
  detach(buffer: ArrayBufferLike): void;
  trimHeaps(): void;
  quantize(tensor: TensorEntry, threads: number): QuantizedTensor;
  checkFinite(tensor: TensorEntry, threads: number): void;
  quantizationMaps(): QuantizationMaps;
  checkModel(source: ModelSource): void;
  adapterTensors(spec: ModelSpec, adapter: AdapterSpec): ({ name: string } & AdapterTensor)[];
  planMemory(source: ModelSource, adapters: AdapterSpecs, options: EngineOptions): MemoryItem[];
  mapFile(path: string, name: string): ArrayBuffer;
  copiedBytes(path: string): number;
  releasePages(buffer: ArrayBuffer): void;
  mappedProblem(buffer: ArrayBuffer): string | null;
  /** A number is the system's error. */
  lockFile(path: string): FileLock | "held" | "unsupported" | number;
  unlockFile(lock: FileLock): void;
  Engine: new () => NativeEngine;
}

let addon: NativeAddon | undefined;
let loadedFrom: string | undefined;

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const require = createRequire(import.meta.url);

/** The name of the prebuilt addon's package for this machine. */
const prebuilt = `lowrank-${process.platform}-${process.arch}`;

/** The C library, in words; undefined where it cannot be told. */
function libc(): string | undefined {
  const { header } = (process.report?.getReport() ?? {}) as { header?: { glibcVersionRuntime?: string } };
  if (process.platform !== "linux" || !header) return undefined;
  return header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : "another C library than glibc (musl)";
}

/** The prebuilt addon's file. @throws Error saying why there is none that fits */
function prebuiltFile(version: string): string {
  let manifest: string;
  try {
    manifest = require.resolve(`${prebuilt}/package.json`);
  } catch {
    throw new Error("not installed");
  }
  const found = (require(manifest) as { version: string }).version;
  if (found !== version) {
    throw new Error(`version ${found}, but this lowrank is ${version}: npm install ${prebuilt}@${version}`);
  }
  return require.resolve(prebuilt);
}

/** The folder of the native addon, and of its plugins. @throws LowrankError as `native` */
export function addonFolder(): string {
  native();
  return dirname(loadedFrom!);
}

/** The native addon, loaded at first use. @throws LowrankError naming every place that was tried. */
export function native(): NativeAddon {
  if (addon) return addon;
  const { version } = require("../../package.json") as { version: string };
  const tried: string[] = [];
  const attempt = (place: string, file: () => string) => {
    try {
      const path = file();
      addon = require(path) as NativeAddon;
      loadedFrom = path;
    } catch (error) {
      tried.push(`${place}: ${(error as Error).message}`);
    }
    return addon;
  };
  // LOWRANK_BUILD is for builds beside the usual ones, such as one with sanitizers.
  const other = process.env.LOWRANK_BUILD;
  for (const config of other ? [other] : ["Release", "Debug"]) {
    const path = here(`build/${config}/lowrank.node`);
    if (!existsSync(path)) tried.push(`${path}: not there`);
    else if (attempt(path, () => path)) return addon!;
  }
  if (!other && attempt(`package ${prebuilt}`, () => prebuiltFile(version))) return addon!;
  const machine = [`${process.platform} ${process.arch}`, libc()].filter(Boolean).join(", ");
  throw new LowrankError(
    "E_NO_ADDON",
    `The native addon could not be loaded. Tried:\n  ${tried.join("\n  ")}\n` +
      `Prebuilt for linux x64 with glibc 2.28 or newer (lowrank-linux-x64@${version}); this is ${machine}.\n` +
      `Build it with: node ${here("scripts/build-native.cjs")}`,
  );
}
