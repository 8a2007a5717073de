import type { AdapterSpec, AdapterTensors, Batch, EngineOptions, EngineProfile, ModelSource, OnLoading, OptimizerOptions, OptimizerState, SamplingOptions } from "./types.js";
/**
 * One model with at most one adapter, on a native thread of its own. Calls are queued and run in order; none blocks
 * the event loop. After `close` every call rejects with `E_CLOSED`.
 */
export declare class Engine {
    #private;
    private constructor();
    /**
     * Maps the weights, quantises and copies those that are to be, allocates what `planMemory` says and initialises the adapter.
     * @param onLoading told now and then, and at the end, how far that is: how many weights are quantised, or bytes copied
     */
    static create(source: ModelSource, adapter: AdapterSpec | null, options: EngineOptions, onLoading?: OnLoading): Promise<Engine>;
    /** Number of trainable parameters and of all parameters, adapters included. */
    parameterCounts(): Promise<{
        trainable: number;
        total: number;
    }>;
    /**
     * Adds the gradient of `lossScale` times the summed cross-entropy of a micro-batch to the gradients. For the mean
     * over an accumulation window, `lossScale` is one over the number of supervised tokens of the whole window.
     * @param rngStream numbers the micro-batch within the run; dropout masks depend on the run's seed and on this alone
     * @returns the sum of the token losses, unscaled
     */
    forwardBackward(batch: Batch, lossScale: number, rngStream: number): Promise<number>;
    /** Clips, applies AdamW, clears the gradients. Returns the global gradient norm before clipping. Where the norm is not finite nothing is applied. */
    optimizerStep(options: OptimizerOptions): Promise<number>;
    /** Sum of the token losses of a batch; no dropout, no gradients. */
    evaluate(batch: Batch): Promise<number>;
    /**
     * For results that are not numbers: looks for a reason in the base's files.
     * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
     */
    checkWeights(): Promise<void>;
    /** Logits (tokens, vocab), row-major, of every token of a batch. For tests and small inputs. */
    logits(batch: Batch): Promise<Float32Array>;
    /** Gradients accumulated so far, `dA` and `dB` under the adapter tensors' names. */
    gradients(): Promise<AdapterTensors>;
    adapter(): Promise<AdapterTensors>;
    /** Replaces every adapter tensor. @throws LowrankError where one is missing, unknown or of the wrong shape. */
    setAdapter(tensors: AdapterTensors): Promise<void>;
    /**
     * FLOP/s of a product at its best, with this engine's threads and precision.
     * @param again measures it again; otherwise only the first call does. The best of all measurements counts
     */
    matmulPeak(again?: boolean): Promise<number>;
    /** Of an engine with `profile`. @throws LowrankError E_STATE */
    profile(): Promise<EngineProfile>;
    optimizerState(): Promise<OptimizerState>;
    setOptimizerState(state: OptimizerState): Promise<void>;
    /**
     * Starts a generation: clears the key/value cache, reads the prompt and returns the first sampled token.
     * The prompt and what follows must fit `cacheTokens`.
     */
    generateStart(prompt: Int32Array, sampling: SamplingOptions): Promise<number>;
    /** Appends a token (normally the one returned last) and returns the next. */
    generateNext(token: number): Promise<number>;
    /**
     * The weight of a linear with its adapter merged, W + scale * B A computed in f32 and rounded once to the weight's
     * dtype; raw bytes in row-major order.
     */
    mergedWeight(module: string): Promise<Uint8Array>;
    /** Finishes what is queued, then frees everything. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
