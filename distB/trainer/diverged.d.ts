import type { AdapterTensors } from "../native/index.js";
/** Where a number of the training was found not to be one. */
export interface Place {
    step: number;
    learningRate: number;
    lastCheckpoint: string | null;
}
/** @throws LowrankError E_NAN where the value is NaN or infinite */
export declare function checkFinite(what: string, value: number, { step, learningRate, lastCheckpoint }: Place): void;
/** Sum of all magnitudes: a number exactly where every element is one. */
export declare function magnitude(tensors: AdapterTensors): number;
