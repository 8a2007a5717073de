import { type Warn } from "../model/index.js";
import { type ModelSource } from "../native/index.js";
export type QuantType = "nf4" | "fp4" | "int8" | "llm_int8";
export interface BaseOptions {
    base_model: string;
    use_4bit: boolean;
    use_8bit: boolean;
    quant_type?: QuantType | undefined;
    double_quant: boolean;
    quantize_skip: string[] | undefined;
    quantize_head?: boolean | undefined;
}
type Options = Omit<BaseOptions, "base_model">;
/** @throws LowrankError E_QUANTIZED, E_USAGE */
export declare function quantizedSource(model: ModelSource, o: Options, warn: Warn): ModelSource;
/**
 * The options with the base that they mean: where none is named, the one that the adapter names.
 * @throws LowrankError E_USAGE, E_FILE_MISSING, E_CONFIG_VALUE
 */
export declare function withBase<O extends {
    base_model: string | undefined;
    adapter: string | undefined;
}>(o: O): Omit<O, "base_model"> & {
    base_model: string;
};
/** Reads the base model's folder. @throws LowrankError */
export declare function openBase(o: BaseOptions, warn: Warn): ModelSource;
export {};
