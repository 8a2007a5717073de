import type { ModelSource } from "../native/index.js";
import type { Warn } from "./warn.js";
/**
 * The model with the head that transformers 5 gives it. Under a configuration that ties head and embedding: where both are
 * stored and differ, the head is its own; where one is stored, it is the other, too.
 * @throws LowrankError E_FILE
 */
export declare function resolveHead(model: ModelSource, file: string, warn: Warn): ModelSource;
