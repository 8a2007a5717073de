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
import { readAdapter } from "../checkpoint/index.js";
import { TokenDataset } from "../data/index.js";
import { Engine } from "../native/index.js";
import { choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase, withBase } from "../setup/base.js";
import { planInference } from "../setup/memory/inference.js";
import { namedTexts, openTokenizer, readTokens, tellEnd } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { evaluateModel } from "../trainer/index.js";
import { loading, STDERR } from "./loading.js";
import { tokenising } from "./tokenising.js";
import { warn } from "./warn.js";
/** `lowrank eval`: loss and perplexity on standard output. */
export async function run(named) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const o = withBase(named);
        const model = openBase(o, warn);
        const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
        const progress = await Progress.open(showsBar());
        const tokenizer = await openTokenizer(o, warn);
        tellEnd(o, tokenizer, { ...STDERR, warn });
        const reading = { show: tokenising(progress), warn, note: STDERR.info };
        const texts = namedTexts(o.validation_file, "validation", o, reading);
        const { table, examples } = await readTokens(texts, tokenizer, model.config.vocabSize, o, reading);
        const batchSize = Math.min(o.per_device_eval_batch_size, examples.length);
        const spec = adapter?.spec ?? null;
        const options = {
            precision: choosePrecision(o.precision, model),
            threads: threadCount(o.threads, warn),
            maxTokens: batchSize * o.max_seq_length,
            maxSequence: o.max_seq_length,
            cacheTokens: 0,
            training: false,
        };
        const advice = "Use a smaller --per_device_eval_batch_size or --max_seq_length.";
        const about = { what: "Evaluating", advice, copies: !o.share_weights };
        const planned = planInference({ model, adapter: spec, engine: options }, about);
        const creating = Engine.create(model, spec, planned.engine, loading(progress, STDERR));
        const engine = __addDisposableResource(env_1, await creating.finally(() => progress.stop()), true);
        if (adapter)
            await engine.setAdapter(adapter.tensors);
        const dataset = new TokenDataset(table, examples);
        progress.start("evaluating", Math.ceil(examples.length / batchSize));
        try {
            const found = await evaluateModel(engine, dataset, { batchSize, onProgress: (done) => progress.update(done) });
            progress.stop();
            const lines = Object.entries(found ?? {}).map(([name, value]) => `${name}: ${value}`);
            process.stdout.write(`${o.json ? JSON.stringify(found) : lines.join("\n")}\n`);
        }
        finally {
            progress.stop();
        }
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
