import { LowrankError } from "../base/errors.js";
import { native } from "./addon.js";
import { call } from "./call.js";
import { checkFinite } from "./quantize.js";
/** Between two looks at how far an engine is that is being created. */
const PROGRESS_MS = 100;
/**
 * One model with at most one adapter, on a native thread of its own. Calls are queued and run in order; none blocks
 * the event loop. After `close` every call rejects with `E_CLOSED`.
 */
export class Engine {
    #engine;
    #source;
    #threads;
    constructor(engine, source, threads) {
        this.#engine = engine;
        this.#source = source;
        this.#threads = threads;
    }
    /**
     * Maps the weights, quantises and copies those that are to be, allocates what `planMemory` says and initialises the adapter.
     * @param onLoading told now and then, and at the end, how far that is: how many weights are quantised, or bytes copied
     */
    static async create(source, adapter, options, onLoading) {
        return call(async () => {
            const engine = new (native().Engine)();
            const toQuantize = source.tensors.filter(({ quantize }) => quantize).length;
            // What the system refused to copy stays mapped, and is done as well once the engine is open.
            const tell = (isOpen) => {
                const { quantized, copied, toCopy } = engine.loadProgress();
                if (toQuantize > 0)
                    onLoading?.("quantising", isOpen ? toQuantize : quantized, toQuantize);
                if (toCopy > 0)
                    onLoading?.("copying", isOpen ? toCopy : copied, toCopy);
            };
            const timer = onLoading && setInterval(() => tell(false), PROGRESS_MS);
            try {
                await engine.open(source, adapter, options);
            }
            finally {
                clearInterval(timer);
            }
            tell(true);
            return new Engine(engine, source, options.threads);
        });
    }
    /** Number of trainable parameters and of all parameters, adapters included. */
    async parameterCounts() {
        return call(() => this.#engine.parameterCounts());
    }
    /**
     * Adds the gradient of `lossScale` times the summed cross-entropy of a micro-batch to the gradients. For the mean
     * over an accumulation window, `lossScale` is one over the number of supervised tokens of the whole window.
     * @param rngStream numbers the micro-batch within the run; dropout masks depend on the run's seed and on this alone
     * @returns the sum of the token losses, unscaled
     */
    async forwardBackward(batch, lossScale, rngStream) {
        return call(() => this.#engine.forwardBackward(batch, lossScale, rngStream));
    }
    /** Clips, applies AdamW, clears the gradients. Returns the global gradient norm before clipping. Where the norm is not finite nothing is applied. */
    async optimizerStep(options) {
        return call(() => this.#engine.optimizerStep(options));
    }
    /** Sum of the token losses of a batch; no dropout, no gradients. */
    async evaluate(batch) {
        return call(() => this.#engine.evaluate(batch));
    }
    /**
     * For results that are not numbers: looks for a reason in the base's files.
     * @throws LowrankError E_TENSOR_VALUE naming the first tensor that holds NaN or infinity; E_FILE
     */
    async checkWeights() {
        await checkFinite(this.#source, this.#threads);
    }
    /** Logits (tokens, vocab), row-major, of every token of a batch. For tests and small inputs. */
    async logits(batch) {
        return call(() => this.#engine.logits(batch));
    }
    /** Gradients accumulated so far, `dA` and `dB` under the adapter tensors' names. */
    async gradients() {
        return call(() => this.#engine.gradients());
    }
    async adapter() {
        return call(() => this.#engine.adapter());
    }
    /** Replaces every adapter tensor. @throws LowrankError where one is missing, unknown or of the wrong shape. */
    async setAdapter(tensors) {
        return call(() => this.#engine.setAdapter(tensors));
    }
    /**
     * FLOP/s of a product at its best, with this engine's threads and precision.
     * @param again measures it again; otherwise only the first call does. The best of all measurements counts
     */
    async matmulPeak(again = false) {
        return call(() => this.#engine.matmulPeak(again));
    }
    /** Of an engine with `profile`. @throws LowrankError E_STATE */
    async profile() {
        return call(() => this.#engine.profile());
    }
    async optimizerState() {
        return call(() => this.#engine.optimizerState());
    }
    async setOptimizerState(state) {
        return call(() => this.#engine.setOptimizerState(state));
    }
    /**
     * Starts a generation: clears the key/value cache, reads the prompt and returns the first sampled token.
     * The prompt and what follows must fit `cacheTokens`.
     */
    async generateStart(prompt, sampling) {
        return this.#sampled(() => this.#engine.generateStart(prompt, sampling));
    }
    /** Appends a token (normally the one returned last) and returns the next. */
    async generateNext(token) {
        return this.#sampled(() => this.#engine.generateNext(token));
    }
    async #sampled(sample) {
        try {
            return await call(sample);
        }
        catch (error) {
            if (error instanceof LowrankError && error.code === "E_NAN")
                await this.checkWeights();
            throw error;
        }
    }
    /**
     * The weight of a linear with its adapter merged, W + scale * B A computed in f32 and rounded once to the weight's
     * dtype; raw bytes in row-major order.
     */
    async mergedWeight(module) {
        return call(() => this.#engine.mergedWeight(module));
    }
    /** Finishes what is queued, then frees everything. */
    async close() {
        return call(() => this.#engine.close());
    }
    async [Symbol.asyncDispose]() {
        await this.close();
    }
}
