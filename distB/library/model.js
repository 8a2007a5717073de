var __addDisposableResource = (this && this.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (this && this.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
import { LowrankError } from "../base/errors.js";
import { readAdapter } from "../checkpoint/index.js";
import { shownValue } from "../config/index.js";
import { TokenDataset, Tokenizer } from "../data/index.js";
import { candidateTargets } from "../model/index.js";
import { Engine } from "../native/index.js";
import { choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import { inferencePlan } from "../setup/memory/inference.js";
import { readTokens, tellEnd } from "../setup/texts.js";
import { evaluateModel } from "../trainer/index.js";
import { checkPath, checkTexts, modelEvaluateOptions, modelGenerateOptions, openOptions, } from "./arguments.js";
import { textSource } from "./options.js";
import { continuation, readRequest } from "./text.js";
/** @throws LowrankError where it is no adapter, or one of another model */
export async function loadAdapter(model, folder) {
    checkModel(model, "loadAdapter");
    checkPath(folder, "loadAdapter", "the adapter");
    return { folder, ...readAdapter(folder, model.source) };
}
/** Trainers tell a model when they are made, and by the function that this returns when they are closed. */
export let register;
let isModel;
/** @throws LowrankError E_ARGUMENT where it is none */
export function checkModel(model, method) {
    if (isModel(model))
        return;
    const message = `${method}: expected a Model, as Model.open gives it, found ${shownValue(model)}.`;
    throw new LowrankError("E_ARGUMENT", message, "model");
}
/**
 * A base model and its tokenizer. Its weights are mapped, once in the process, for whatever is made from it; they are
 * never changed. Everything else that takes memory is made by each call and each trainer for itself.
 */
export class Model {
    /** The folder as it was read; for `Engine` and the other parts. */
    source;
    tokenizer;
    precision;
    threads;
    sharesWeights;
    #trainers = new Set();
    #closed = false;
    static {
        register = (model, trainer, method) => {
            model.#check(method);
            model.#trainers.add(trainer);
            return () => model.#trainers.delete(trainer);
        };
        isModel = (value) => typeof value === "object" && value !== null && #trainers in value;
    }
    constructor(given) {
        this.source = given.source;
        this.tokenizer = given.tokenizer;
        this.precision = given.precision;
        this.threads = given.threads;
        this.sharesWeights = given.sharesWeights;
    }
    /**
     * @param folder of a Hugging Face model: config.json, safetensors, tokenizer.json
     * @throws LowrankError naming file, key or tensor
     */
    static async open(folder, options = {}) {
        checkPath(folder, "Model.open", "the model");
        const { precision, threads, tokenizer_name, share_weights, ...quantization } = openOptions(options);
        const warn = (message) => process.emitWarning(message);
        const source = openBase({ base_model: folder, ...quantization }, warn);
        const tokenizer = await Tokenizer.open(tokenizer_name ?? folder, warn);
        return new Model({
            ...{ source, tokenizer, precision: choosePrecision(precision, source), threads: threadCount(threads, warn) },
            sharesWeights: share_weights,
        });
    }
    get folder() {
        return this.source.folder;
    }
    get config() {
        return this.source.config;
    }
    /** Names for `target_modules`. */
    get targetModules() {
        return candidateTargets(this.source);
    }
    /** The text that follows a prompt, piece by piece as it comes. Several may be written at once, each with memory of its own. */
    async *generate(prompt, options = {}) {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            this.#check("generate");
            const { adapter, ...wanted } = modelGenerateOptions(options);
            const { maxPositions } = this.config;
            const read = await readRequest(prompt, wanted, this.tokenizer, maxPositions, "max_position_embeddings");
            const maxSequence = read.ids.length + read.maxNewTokens;
            const engine = __addDisposableResource(env_1, await this.#engine(adapter, { maxTokens: read.ids.length, maxSequence }), true);
            yield* continuation(engine, this.tokenizer, this.folder, read);
        }
        catch (e_1) {
            env_1.error = e_1;
            env_1.hasError = true;
        }
        finally {
            const result_1 = __disposeResources(env_1);
            if (result_1)
                await result_1;
        }
    }
    /** Loss and perplexity on texts. @throws the signal's reason where it is raised */
    async evaluate(texts, options = {}) {
        const env_2 = { stack: [], error: void 0, hasError: false };
        try {
            this.#check("evaluate");
            checkTexts(texts, "model.evaluate");
            const { adapter, batch_size, signal, ...rest } = modelEvaluateOptions(options);
            const { max_seq_length: sequence } = rest;
            const from = textSource(texts, "texts");
            const warn = (message) => process.emitWarning(message);
            tellEnd(rest, this.tokenizer, { info: () => { }, warn });
            const o = { ...rest, text_column: "text", threads: this.threads };
            const { table, examples } = await readTokens(from, this.tokenizer, this.config.vocabSize, o, { signal, warn });
            const batchSize = Math.min(batch_size, examples.length);
            const size = { maxTokens: batchSize * sequence, maxSequence: sequence };
            const engine = __addDisposableResource(env_2, await this.#engine(adapter, size, !this.sharesWeights), true);
            const dataset = new TokenDataset(table, examples);
            return (await evaluateModel(engine, dataset, { batchSize, abort: signal }));
        }
        catch (e_2) {
            env_2.error = e_2;
            env_2.hasError = true;
        }
        finally {
            const result_2 = __disposeResources(env_2);
            if (result_2)
                await result_2;
        }
    }
    async #engine(adapter, size, copies = false) {
        const { source, precision, threads } = this;
        const spec = adapter?.spec ?? null;
        const wanted = { precision, threads, training: false, ...size };
        const options = copies ? inferencePlan({ model: source, adapter: spec, engine: wanted }, true).engine : wanted;
        const engine = await Engine.create(source, spec, options);
        if (adapter)
            await engine.setAdapter(adapter.tensors);
        return engine;
    }
    #check(method) {
        if (this.#closed)
            throw new LowrankError("E_CLOSED", `${method}: the model is closed.`);
    }
    /** Closes its trainers. What `generate` and `evaluate` are doing goes on to its end. */
    async close() {
        this.#closed = true;
        await Promise.all([...this.#trainers].map((trainer) => trainer.close()));
    }
    async [Symbol.asyncDispose]() {
        await this.close();
    }
}
