import type { Tokenizer } from "../data/index.js";
import { type ModelSource } from "../native/index.js";
export interface QuantizeOptions {
    /** With `quantize` at the weights to be quantised. */
    model: ModelSource;
    output: string;
    tokenizer: Tokenizer;
    threads: number;
    overwrite?: boolean;
    /** Steps done so far, and all of them: a tensor that is written is one, and so are the statistics of one that is quantised. */
    onProgress?: (done: number, total: number) => void;
}
/**
 * Writes the folder; it is complete or absent, and one tensor at most is in memory.
 * @throws LowrankError E_OUTPUT_EXISTS, E_TENSOR_VALUE, E_WRITE, E_FILE_CHANGED
 */
export declare function writeQuantized({ model, output, tokenizer, threads, ...o }: QuantizeOptions): Promise<void>;
/** Whether every tensor of a model is stored plainly, as Hugging Face has it. */
export declare function isPlain({ tensors }: ModelSource): boolean;
