import type { Engine } from "../native/index.js";
import { type Dataset } from "./windows.js";
export interface Evaluation {
    eval_loss: number;
    eval_perplexity: number;
}
export interface EvaluateOptions {
    batchSize: number;
    signal?: AbortSignal | undefined;
    /** Ends it with the signal's reason. */
    abort?: AbortSignal | undefined;
    onProgress?: (done: number, total: number) => void | Promise<void>;
}
/** The same for a model that is not being trained. @throws LowrankError E_TENSOR_VALUE, E_NAN where the loss is no number */
export declare function evaluateModel(engine: Engine, dataset: Dataset, options: EvaluateOptions): Promise<Evaluation | null>;
/**
 * Mean token loss over a data set, and its exponential.
 * @returns null where the signal was raised before the end
 */
export declare function evaluate(engine: Engine, dataset: Dataset, options: EvaluateOptions): Promise<Evaluation | null>;
