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
import { readChatTemplate, readEosIds, Tokenizer } from "../data/index.js";
import { Engine } from "../native/index.js";
import { choosePrecision, stopIds, threadCount } from "../setup/adapter.js";
import { openBase, withBase } from "../setup/base.js";
import { planInference } from "../setup/memory/inference.js";
import { readPrompt } from "../setup/prompt.js";
import { Progress, showsBar } from "../tracking/index.js";
import { generate } from "../trainer/index.js";
import { loading, STDERR } from "./loading.js";
import { warn } from "./warn.js";
async function given(prompt) {
    if (prompt !== "-")
        return prompt;
    const parts = [];
    for await (const part of process.stdin)
        parts.push(part);
    return Buffer.concat(parts).toString("utf8");
}
/** Why there is no text, and what may help. */
export function nothingWritten({ tokens, stop }, tokenizer, { base_model, tokenizer_name, adapter, }) {
    const name = (token) => JSON.stringify(tokenizer.decode(Int32Array.of(token), { skipSpecialTokens: false }));
    const first = tokens === 0 ? "at once" : `after ${tokens} ${tokens === 1 ? "token" : "tokens"} without text`;
    const why = stop === null ? `all ${tokens} tokens are without text` : `the model ended ${first}, with ${name(stop)}`;
    const template = readChatTemplate(tokenizer_name ?? base_model);
    if (template !== undefined) {
        const example = template.includes("<|im_start|>")
            ? ", such as $'<|im_start|>user\\nHello<|im_end|>\\n<|im_start|>assistant\\n'"
            : "";
        return `nothing was written: ${why}. The model is made for prompts in its chat template, which the prompt must hold itself${example}.`;
    }
    const trained = adapter === undefined ? "" : ", or one in the form of the texts that the adapter was trained on";
    return `nothing was written: ${why}. It may expect another prompt: a longer one${trained}.`;
}
/** `lowrank generate`: the continuation goes to standard output as it comes, everything else to standard error. */
export async function run(named) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const o = withBase(named);
        const opening = Tokenizer.open(o.tokenizer_name ?? o.base_model, warn);
        opening.catch(() => { });
        const model = openBase(o, warn);
        const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
        const tokenizer = await opening;
        const text = await given(o.prompt);
        const context = model.config.maxPositions;
        const limit = `max_position_embeddings of ${o.base_model}`;
        const { ids: prompt, maxNewTokens } = await readPrompt(text, o.max_new_tokens, tokenizer, context, limit);
        if (maxNewTokens < o.max_new_tokens) {
            process.stderr.write(`warning: the model's context of ${context} tokens leaves room for ${maxNewTokens} new tokens, not ${o.max_new_tokens}\n`);
        }
        const reader = new AbortController();
        process.stdout.once("error", () => reader.abort());
        const spec = adapter?.spec ?? null;
        const options = {
            precision: choosePrecision(o.precision, model),
            threads: threadCount(o.threads, warn),
            maxTokens: prompt.length,
            maxSequence: prompt.length + maxNewTokens,
            training: false,
        };
        const advice = "Use a smaller --max_new_tokens or a shorter prompt.";
        planInference({ model, adapter: spec, engine: options }, { what: "Generating", advice });
        const progress = await Progress.open(showsBar());
        const creating = Engine.create(model, spec, options, loading(progress, STDERR));
        const engine = __addDisposableResource(env_1, await creating.finally(() => progress.stop()), true);
        if (adapter)
            await engine.setAdapter(adapter.tensors);
        const pieces = generate(engine, tokenizer, prompt, {
            temperature: o.temperature,
            topK: o.top_k,
            topP: o.top_p,
            seed: o.seed,
            maxNewTokens,
            stopIds: stopIds(readEosIds(o.base_model), tokenizer),
            signal: reader.signal,
        });
        let hasText = false;
        let next = await pieces.next();
        for (; !next.done; next = await pieces.next()) {
            hasText ||= next.value.trim() !== "";
            process.stdout.write(next.value);
        }
        if (!hasText && !reader.signal.aborted)
            process.stderr.write(`note: ${nothingWritten(next.value, tokenizer, o)}\n`);
        // The text itself may end in the middle of a line; a terminal's prompt should not.
        if (process.stdout.isTTY)
            process.stdout.write("\n");
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
