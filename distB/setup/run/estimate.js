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
// How many steps a run has, and about how long it takes, before it is begun.
import { Engine } from "../../native/index.js";
import { countSteps, countWarmup, modelFlop } from "../../trainer/index.js";
/** Items of a data set that stand for all. */
const LOOKED_AT = 512;
/** What steps of models of usual sizes reach of a product's speed. */
const SHARE_OF_PEAK = 0.8;
/** Tokens of the product that is timed. */
const TIMED_TOKENS = 1024;
/** FLOP of a step's forward and backward pass over an item, on average. */
function itemFlop(dataset, flopOf) {
    const { length } = dataset;
    const looked = Math.min(LOOKED_AT, length);
    let flop = 0;
    for (let i = 0; i < looked; i++) {
        const batch = dataset.batch(Int32Array.of(Math.floor((i * length) / looked)));
        flop += flopOf({ microBatches: [batch], supervisedTokens: batch.supervisedTokens });
    }
    return looked === 0 ? 0 : flop / looked;
}
/** FLOP/s of a product at its best, here and now. Nothing is quantised or copied for it. */
async function matmulPeak({ model, adapter, plan }) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const tensors = model.tensors.map(({ quantize: _, ...tensor }) => tensor);
        const stored = { ...model, tensors };
        const { precision, threads } = plan.engine;
        const size = { maxTokens: TIMED_TOKENS, maxSequence: TIMED_TOKENS, cacheTokens: 0 };
        const engine = __addDisposableResource(env_1, await Engine.create(stored, adapter.spec, { precision, threads, ...size, training: false }), true);
        return engine.matmulPeak();
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
export async function estimate(o, prepared) {
    const { model, adapter, texts } = prepared;
    const { training, validation } = texts;
    const batchSize = o.per_device_train_batch_size;
    const accumulation = o.gradient_accumulation_steps;
    const work = { batchSize, accumulation, epochs: o.num_train_epochs, maxSteps: o.max_steps };
    const steps = countSteps({ rows: training.length, ...work });
    const flopOf = modelFlop(model, adapter.spec);
    const items = (steps.total / steps.perEpoch) * training.length;
    const every = o.eval_strategy === "epoch" ? steps.perEpoch : o.eval_steps;
    const evaluations = o.eval_strategy === "no" ? 0 : Math.ceil(steps.total / every);
    // A frozen base asks as much backward as forward.
    const evaluating = (evaluations * validation.length * itemFlop(validation, flopOf)) / 2;
    const flop = items * itemFlop(training, flopOf) + evaluating;
    const seconds = flop / (SHARE_OF_PEAK * (await matmulPeak(prepared)));
    return { steps, warmup: countWarmup(steps.total, o.warmup_ratio, o.warmup_steps), seconds };
}
