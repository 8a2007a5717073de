import { type AdapterSpec, type EngineOptions, type MemoryPlan, type ModelSource } from "../../native/index.js";
import { type MemoryLimit } from "./limits.js";
import { type Settings } from "./proposals.js";
export interface Plan {
    adapter: AdapterSpec;
    engine: EngineOptions;
    memory: MemoryPlan;
}
/** What an engine generates beside training. */
export interface Generation {
    /** The longest sample, with its prompt; 0 where there is none. */
    sampleTokens: number;
    /** Whether nothing else is generated. */
    samplesOnly: boolean;
}
/** Of a run that asks for no other. */
export declare const USUAL_SAMPLES: {
    num_samples: number;
    sample_max_new_tokens: number;
};
/** By the options of a run. */
export declare function samplesOf(o: {
    num_samples: number;
    sample_max_new_tokens: number;
}, samplesOnly: boolean): Generation;
export declare class Planner {
    #private;
    /**
     * @param adapter whose rank the settings decide
     * @param tokenizer folder or file of the tokenizer that is still to be loaded; null where it has been
     */
    constructor(model: ModelSource, adapter: AdapterSpec, threads: number, tokenizer: string | null, generation?: Generation);
    /** @param limits where the weights may be copied: they are if the plan keeps within these with them */
    plan(settings: Settings, limits?: MemoryLimit[]): Plan;
    /**
     * @param fixedRank whether another rank is no way out
     * @throws LowrankError E_MEMORY with the plan and what would fit
     */
    check(plan: Plan, settings: Settings, fixedRank: boolean, limits?: MemoryLimit[]): void;
}
export interface ParameterCounts {
    trainable: number;
    all: number;
}
export declare function parameterCounts(model: ModelSource, adapter: AdapterSpec | null): ParameterCounts;
/** The line of peft's `print_trainable_parameters`. */
export declare function trainableLine({ trainable, all }: ParameterCounts): string;
