import type { AdapterSpec, AdapterTensors, Batch, CpuInfo, EngineOptions, EngineProfile, LinearModule, MemoryItem, ModelSource, OptimizerOptions, OptimizerState, QuantizationMaps, QuantizedTensor, SamplingOptions, TensorEntry } from "./types.js";
/** The addon's engine class; `Engine` in engine.ts is its public face. */
export interface NativeEngine {
    open(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions): Promise<void>;
    /** Of `open`, so far: weights that were quantised, and bytes copied, of so many. */
    loadProgress(): {
        quantized: number;
        copied: number;
        toCopy: number;
    };
    parameterCounts(): Promise<{
        trainable: number;
        total: number;
    }>;
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
    matmulPeak(again: boolean): Promise<number>;
    mergedWeight(module: string): Promise<Uint8Array>;
    close(): Promise<void>;
}
/** Holds a lock until it is unlocked or collected, or its thread or process ends. */
export type FileLock = {
    readonly __lock: unique symbol;
};
export interface NativeAddon {
    cpuInfo(): CpuInfo;
    detach(buffer: ArrayBufferLike): void;
    trimHeaps(): void;
    quantize(tensor: TensorEntry, threads: number): QuantizedTensor;
    isFinite(tensor: TensorEntry, threads: number): boolean;
    quantizationMaps(): QuantizationMaps;
    supportedArchitectures(): string[];
    listLinears(source: ModelSource): LinearModule[];
    planMemory(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions): MemoryItem[];
    mapFile(path: string): ArrayBuffer;
    copiedBytes(path: string): number;
    releasePages(buffer: ArrayBuffer): void;
    mappedProblem(buffer: ArrayBuffer): string | null;
    /** A number is the system's error. */
    lockFile(path: string): FileLock | "held" | "unsupported" | number;
    unlockFile(lock: FileLock): void;
    Engine: new () => NativeEngine;
}
/** The native addon, loaded at first use. @throws LowrankError naming every place that was tried. */
export declare function native(): NativeAddon;
