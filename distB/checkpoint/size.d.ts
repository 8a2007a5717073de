import { type Tokenizer } from "../data/index.js";
import type { AdapterSpec, ModelSource, Optimizer } from "../native/index.js";
export interface SavedSizes {
    /** Bytes of the final adapter's files, and of a whole checkpoint. */
    adapter: number;
    checkpoint: number;
}
/** Bytes of the files, without what a file system adds to them. */
export declare function savedSizes(model: ModelSource, spec: AdapterSpec, optimizer: Optimizer, tokenizer: Pick<Tokenizer, "files">): SavedSizes;
