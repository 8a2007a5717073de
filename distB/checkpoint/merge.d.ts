import { type Tokenizer } from "../data/index.js";
import type { Engine, ModelSource } from "../native/index.js";
export interface MergeOptions {
    engine: Engine;
    model: ModelSource;
    /** Full names of the modules that carry an adapter. */
    modules: string[];
    output: string;
    /** Whose files to write beside the weights, where they are not the base's own. */
    tokenizer?: Tokenizer;
    /** Replaces a merged model that stands there; a folder that holds anything else is refused all the same. */
    overwrite?: boolean;
    /** Tensors written so far, and all of them. */
    onProgress?: (done: number, total: number) => void;
}
/**
 * Writes the merged model in the dtypes and files of the base: the same names, headers and index, every tensor but the
 * merged ones byte for byte. The folder is complete or absent; one tensor at most is in memory.
 * @throws LowrankError E_OUTPUT_EXISTS, E_TENSOR_VALUE and E_NAN where a weight would not be a number, E_WRITE,
 * E_FILE_CHANGED
 */
export declare function writeMerged(options: MergeOptions): Promise<void>;
