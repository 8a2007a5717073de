import type { AdapterSpec, CpuInfo, EngineOptions, LinearModule, MemoryPlan, ModelSource } from "./types.js";
export declare function cpuInfo(): CpuInfo;
/** Architectures (`model_type`) that the native code knows. */
export declare function supportedArchitectures(): string[];
/**
 * Every linear of the model that can carry an adapter, in order of use.
 * @throws LowrankError where a tensor is missing or has the wrong shape.
 */
export declare function listLinears(source: ModelSource): LinearModule[];
/** What an engine with these options will allocate. Nothing is allocated here. */
export declare function planMemory(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions): MemoryPlan;
