import type { ModelSource, QuantizationMaps, QuantizedTensor, TensorEntry } from "./types.js";
/** A matrix as `tensor.quantize` says, with so many threads. @throws LowrankError E_FILE, E_QUANTIZED, E_TENSOR_SHAPE */
export declare function quantizeTensor(tensor: TensorEntry, threads: number): QuantizedTensor;
/**
 * Looks at every number of a model's files, with so many threads; in the order of the files.
 * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
 */
export declare function checkFinite({ tensors }: Pick<ModelSource, "tensors">, threads: number): Promise<void>;
export declare function quantizationMaps(): QuantizationMaps;
