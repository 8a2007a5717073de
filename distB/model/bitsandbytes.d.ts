import { type TensorEntry } from "../native/index.js";
import type { SafetensorsTensor } from "./safetensors.js";
export type FileTensor = SafetensorsTensor & {
    file: string;
};
export type FourBit = "nf4" | "fp4";
/** After a weight's name. */
export declare const stateOf: (type: FourBit) => string;
export declare const FOUR_BIT: {
    map: string;
    absmax: string;
    nestedAbsmax: string;
    nestedMap: string;
};
/** After a module's name. */
export declare const ROW_MAXIMA = ".SCB";
/** Finds the statistics of a folder's quantised weights. */
export declare class QuantizedTensors {
    #private;
    constructor(tensors: FileTensor[]);
    /**
     * The entry of a quantised weight, undefined where the tensor is none.
     * @throws LowrankError E_QUANTIZED naming the tensor whose statistics are missing or do not fit it
     */
    entry(tensor: FileTensor): TensorEntry | undefined;
}
