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
// The base model with an adapter merged into its weights, file by file as the base has them.
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { TO_READ, writeError } from "../base/system-errors.js";
import { findTokenizerFiles } from "../data/index.js";
import { findWeightFiles, readSafetensorsHeader } from "../model/index.js";
import { checkModelOutput, copyInto, MODEL_CONFIGS, writeFolder } from "./files.js";
import { isPlain } from "./quantize.js";
import { Unchanged } from "./unchanged.js";
const CHUNK_BYTES = 8 << 20;
/**
 * Writes the merged model in the dtypes and files of the base: the same names, headers and index, every tensor but the
 * merged ones byte for byte. The folder is complete or absent; one tensor at most is in memory.
 * @throws LowrankError E_OUTPUT_EXISTS, E_TENSOR_VALUE and E_NAN where a weight would not be a number, E_WRITE,
 * E_FILE_CHANGED
 */
export async function writeMerged(options) {
    const { model, modules, output, tokenizer, onProgress } = options;
    checkModelOutput(output, options.overwrite ?? false);
    if (!isPlain(model)) {
        const message = `${model.folder} is quantised or a GGUF file: an adapter is merged into a folder with f32, bf16 or f16 weights, such as the one that it was made from. Give that folder as --base_model.`;
        throw new LowrankError("E_QUANTIZED", message, model.folder);
    }
    await options.engine.checkWeights();
    const { files, index } = findWeightFiles(model.folder);
    const unchanged = new Unchanged(files.map((file) => join(model.folder, file)));
    const total = files.reduce((sum, file) => sum + readSafetensorsHeader(join(model.folder, file)).tensors.length, 0);
    let done = 0;
    const merged = mergedPlaces(model, modules);
    const others = [...MODEL_CONFIGS, ...(index === null ? [] : [index])].map((name) => join(model.folder, name));
    await writeFolder(output, async (folder) => {
        await copyInto(folder, others.filter((path) => existsSync(path)));
        await copyInto(folder, tokenizer?.files ?? findTokenizerFiles(model.folder));
        for (const file of files) {
            await copyMerged(join(model.folder, file), join(folder, file), merged, options.engine, () => onProgress?.(++done, total));
        }
        unchanged.check();
    });
}
const placeOf = (file, offset) => `${offset} ${file}`;
/** Modules by where their weights lie: a file may have them under other names. */
function mergedPlaces({ tensors }, modules) {
    const weights = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    return new Map(modules.map((module) => {
        const { file, offset } = weights.get(`${module}.weight`);
        return [placeOf(file, offset), module];
    }));
}
/** Copies a safetensors file with some tensors replaced; the header stays, for shapes and dtypes do. */
async function copyMerged(source, target, merged, engine, onTensor) {
    const { tensors, dataBegin } = readSafetensorsHeader(source);
    try {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const input = __addDisposableResource(env_1, await open(source, TO_READ), true);
            const output = __addDisposableResource(env_1, await open(target, "w"), true);
            await copyRange(source, input, output, 0, dataBegin);
            for (const { begin, end } of tensors) {
                const module = merged.get(placeOf(source, begin));
                if (module === undefined)
                    await copyRange(source, input, output, begin, end);
                else
                    await output.writeFile(await mergedBytes(engine, module, end - begin));
                onTensor();
            }
            await output.sync();
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
    catch (error) {
        throw writeError(error, target);
    }
}
async function mergedBytes(engine, module, expected) {
    const bytes = await engine.mergedWeight(module);
    if (bytes.byteLength === expected)
        return bytes;
    throw new LowrankError("E_INTERNAL", `Merged weight of ${module} has ${bytes.byteLength} bytes, expected ${expected}.`);
}
async function copyRange(source, input, output, begin, end) {
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, end - begin));
    for (let at = begin; at < end;) {
        const { bytesRead } = await input.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0)
            throw new LowrankError("E_FILE_CHANGED", `${source}: the file became shorter while it was copied.`, source);
        await output.writeFile(buffer.subarray(0, bytesRead));
        at += bytesRead;
    }
}
