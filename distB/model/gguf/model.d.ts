import type { ModelSource } from "../../native/index.js";
/**
 * A GGUF file as a base model; the weights stay where they are, as they are.
 * @throws LowrankError E_GGUF, E_ARCHITECTURE, E_TENSOR_DTYPE, E_TENSOR_MISSING, E_CONFIG_VALUE naming file, key or tensor
 */
export declare function openGguf(file: string): ModelSource;
