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
import { open } from "node:fs/promises";
import { LowrankError } from "../base/errors.js";
import { writeError } from "../base/system-errors.js";
import { elementBytes } from "./safetensors.js";
/** Large elements first, then by name, as the reference orders them: each tensor is aligned to its elements. */
function inFileOrder(tensors) {
    const size = ({ dtype }) => elementBytes(dtype) ?? 0;
    return [...tensors].sort((a, b) => size(b) - size(a) || (a.name < b.name ? -1 : 1));
}
/** Header length and header, padded with spaces to a multiple of 8 bytes. */
function encodeHeader(tensors, metadata) {
    let at = 0;
    const entries = tensors.map(({ name, dtype, shape, bytes }) => {
        const begin = at;
        at += bytes;
        return [name, { dtype, shape, data_offsets: [begin, at] }];
    });
    // fromEntries keeps the order of names that are not array indices, which tensor names never are.
    const json = Buffer.from(JSON.stringify(Object.fromEntries([["__metadata__", metadata], ...entries])));
    const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
    header.writeBigUInt64LE(BigInt(header.length - 8));
    json.copy(header, 8);
    return header;
}
/**
 * Writes the file under its final name and flushes it to the disk. What an error leaves behind is the caller's to remove.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function writeSafetensors(file, tensors, metadata) {
    const ordered = inFileOrder(tensors);
    try {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const output = __addDisposableResource(env_1, await open(file, "w"), true);
            await output.writeFile(encodeHeader(ordered, metadata));
            for (const { name, bytes, data } of ordered) {
                const content = typeof data === "function" ? await data() : data;
                if (content.byteLength !== bytes) {
                    throw new LowrankError("E_INTERNAL", `${file}: tensor ${name} has ${content.byteLength} bytes, expected ${bytes}.`);
                }
                await output.writeFile(content);
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
        throw writeError(error, file);
    }
}
