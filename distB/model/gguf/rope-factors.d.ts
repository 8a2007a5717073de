import type { RopeScaling } from "../../native/index.js";
import { type GgufHeader, type GgufTensor } from "./header.js";
/** @throws LowrankError E_GGUF where the factors are not Llama 3's */
export declare function llama3Scaling({ file }: GgufHeader, tensor: GgufTensor, headDim: number, theta: number): RopeScaling;
