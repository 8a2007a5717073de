import { type MemoryItem, type ModelSource } from "../../native/index.js";
/**
 * What the program comes to hold besides: compiled code and the JavaScript heap, from the plan to the peak. Measured over
 * the table of docs/memory.md.
 */
declare const GROWTH_BYTES: {
    training: number;
    inference: number;
};
/** @param tokenizer folder or file of the tokenizer that is still to be loaded; null where it has been */
export declare function processItems(work: keyof typeof GROWTH_BYTES, model: ModelSource, tokenizer: string | null): MemoryItem[];
export {};
