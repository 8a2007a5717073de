// The addon's answers about a model and this machine, without an engine.
import { native } from "./addon.js";
import { callSync } from "./call.js";
import type {
  AdapterSpec,
  AdapterSpecs,
  AdapterTensor,
  CpuInfo,
  EngineOptions,
  MemoryPlan,
  ModelSource,
} from "./types.js";

export function cpuInfo(): CpuInfo {
  return callSync(() => native().cpuInfo());
}

/** @throws LowrankError where a tensor is missing or has the wrong shape, or the description is none of a model */
export function checkModel(source: ModelSource): void {
  callSync(() => native().checkModel(source));
}

/**
 * The tensors that an adapter trains, by the engine's names, with their shapes; the engine's table is the only one.
 * @throws LowrankError E_TARGET, E_RANK
 */
export function adapterTensors(source: ModelSource, adapter: AdapterSpec): Map<string, AdapterTensor> {
  const tensors = callSync(() => native().adapterTensors(source.spec, adapter));
  return new Map(tensors.map(({ name, ...tensor }) => [name, tensor]));
}

/** The memory that an engine with these options will allocate. Nothing is allocated here. */
export function planMemory(source: ModelSource, adapters: AdapterSpecs, options: EngineOptions): MemoryPlan {
  const items = callSync(() => native().planMemory(source, adapters, options));
  return { items, totalBytes: items.reduce((sum, item) => sum + item.bytes, 0) };
}
