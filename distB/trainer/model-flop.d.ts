import { type AdapterSpec, type ModelSource } from "../native/index.js";
import type { Window } from "./windows.js";
/** What of a window decides it. */
export type FlopWindow = Pick<Window, "microBatches" | "supervisedTokens">;
/**
 * FLOP that a step's window asks of the model, as MFU counts them (Chowdhery et al., 2022): products, attention and the head,
 * forward and backward, without what is computed again. The base is frozen: its linears have the gradient of their input alone.
 */
export declare function modelFlop(model: ModelSource, adapter: AdapterSpec): (window: FlopWindow) => number;
