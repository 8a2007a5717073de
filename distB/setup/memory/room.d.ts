import { LowrankError } from "../../base/errors.js";
import type { MemoryItem, MemoryPlan } from "../../native/index.js";
import type { MemoryLimit } from "./limits.js";
export declare function planOf(items: MemoryItem[]): MemoryPlan;
/** Whether a plan keeps within every limit. */
export declare function fitsAll(plan: MemoryPlan, limits: MemoryLimit[]): boolean;
/** The limit that leaves the least room. */
export declare function tightest(plan: MemoryPlan, limits: MemoryLimit[]): MemoryLimit;
/** The refusal of a plan that does not fit. @param advice what to do about it */
export declare function refusal(what: string, plan: MemoryPlan, limits: MemoryLimit[], advice: string): LowrankError;
/** A warning where the weights do not fit into memory beside the rest of the plan. */
export declare function mappedWarning({ totalBytes }: MemoryPlan, limits: MemoryLimit[]): string | undefined;
export declare function memoryTable({ items, totalBytes }: MemoryPlan): string;
