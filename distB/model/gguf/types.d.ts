import type { WeightDtype } from "../../native/index.js";
export interface TensorType {
    /** For people, and where it can be read the engine's name. */
    name: string;
    /** Elements stored together, and their bytes; undefined for types that cannot be read. */
    stored?: {
        dtype: WeightDtype;
        elements: number;
        bytes: number;
    };
}
/** Names of the types that can be read. */
export declare const READABLE_TYPES: readonly string[];
/** @param type ggml's number; one that is not known has a name that says so */
export declare function tensorType(type: number): TensorType;
