import { type AdapterSpec, type EngineOptions, type MemoryItem, type MemoryPlan, type ModelSource } from "../../native/index.js";
import { type MemoryLimit } from "./limits.js";
export interface Inference {
    model: ModelSource;
    adapter: AdapterSpec | null;
    engine: EngineOptions;
}
export interface InferencePlan {
    engine: EngineOptions;
    memory: MemoryPlan;
}
/**
 * What evaluating or generating takes, once the tokenizer is loaded.
 * @param copies whether the weights are copied where they fit beside the rest; a short text would be done before that is
 * @param process the process's own share, which changes while it runs
 */
export declare function inferencePlan({ model, adapter, engine }: Inference, copies: boolean, limits?: MemoryLimit[], process?: MemoryItem[]): InferencePlan;
/**
 * The same, checked. LOWRANK_DEBUG shows it on standard error.
 * @param what is done, such as "Evaluating"
 * @param advice what to do where it does not fit
 * @throws LowrankError E_MEMORY with the plan
 */
export declare function planInference(inference: Inference, { what, advice, copies, limits, }: {
    what: string;
    advice: string;
    copies?: boolean;
    limits?: MemoryLimit[];
}): InferencePlan;
