import { join } from "node:path";
import { root } from "./tiny.js";

/** The CUDA plugin whose kernels run on the processor. Built with the native tests. */
export const EMULATED = join(root, "build/cmake/liblowrank_cuda_emulated.so");
