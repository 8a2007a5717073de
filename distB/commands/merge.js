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
import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { readAdapter, writeMerged } from "../checkpoint/index.js";
import { Tokenizer } from "../data/index.js";
import { openModel } from "../model/index.js";
import { Engine } from "../native/index.js";
import { threadCount } from "../setup/adapter.js";
import { withBase } from "../setup/base.js";
import { checkOutput } from "../setup/run/output.js";
import { Log, Progress, showsBar } from "../tracking/index.js";
import { warn } from "./warn.js";
/** Asks until the answer is yes or no, or nothing, which is no. */
export async function isYes(question, ask) {
    for (let again = "";; again = "Please answer y or n. ") {
        const answer = (await ask(`${again}${question} [y/N] `))?.trim() ?? "";
        if (/^(n|no|)$/i.test(answer))
            return false;
        if (/^y(es)?$/i.test(answer))
            return true;
    }
}
/** A word of a shell's command line. */
const word = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
/** The command that merges a run's adapter later. */
export function mergeCommand(o, folder) {
    const tokenizer = o.tokenizer_name === undefined ? "" : ` --tokenizer_name ${word(o.tokenizer_name)}`;
    return `lowrank merge --base_model ${word(o.base_model)}${tokenizer} --adapter ${word(o.output_dir)} --output_dir ${word(folder)}`;
}
/** Whether to merge after training: as told, else as a person at the terminal answers, else not. */
export async function wantsMerge(o, folder) {
    if (o.merge !== undefined)
        return o.merge;
    if (!process.stdin.isTTY || !process.stderr.isTTY)
        return false;
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
        const closed = once(terminal, "close").then(() => null);
        const ask = (question) => Promise.race([terminal.question(question), closed]);
        const wanted = await isYes(`Write the merged model to ${folder}?`, ask);
        if (!wanted)
            process.stderr.write(`Later: ${mergeCommand(o, folder)}\n`);
        return wanted;
    }
    finally {
        terminal.close();
    }
}
export async function mergeInto(folder, work) {
    const { progress, log, ...merge } = work;
    progress.start("merging", merge.model.tensors.length);
    await writeMerged({ ...merge, output: folder, onProgress: (done) => progress.update(done) });
    progress.stop();
    log.info(`saved the merged model in ${folder}`);
}
/** `lowrank merge`. */
export async function run(named) {
    const o = withBase(named);
    checkOutput(o.output_dir, o.overwrite_output_dir ? "results" : "nothing", [
        o.base_model,
        o.tokenizer_name,
        o.adapter,
    ]);
    const model = openModel(o.base_model, warn);
    const { spec, tensors } = readAdapter(o.adapter, model);
    const tokenizer = await Tokenizer.open(o.tokenizer_name ?? o.base_model, warn);
    const progress = await Progress.open(showsBar());
    const log = new Log({ level: "info", beforeLine: () => progress.clearLine() });
    try {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const shape = { precision: "fp32", threads: threadCount(o.threads, warn), maxTokens: 1, maxSequence: 1 };
            const engine = __addDisposableResource(env_1, await Engine.create(model, spec, { ...shape, training: false }), true);
            await engine.setAdapter(tensors);
            await mergeInto(o.output_dir, {
                engine,
                model,
                modules: spec.targets,
                tokenizer,
                overwrite: o.overwrite_output_dir,
                progress,
                log,
            });
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
    finally {
        progress.stop();
        await log.close();
    }
}
