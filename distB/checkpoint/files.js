// Folders that are complete or absent: written under another name, flushed, renamed.
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
import { closeSync, existsSync, readdirSync } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { openRegular, writeError } from "../base/system-errors.js";
import { ggufFile, isTokenizerFile } from "../data/index.js";
export const MODEL_CONFIGS = ["config.json", "generation_config.json"];
/** Where files are written before they take their places in a folder that holds other things too. */
const STAGED = ".adapter.tmp";
/** Flushes a file, or a folder's list of names. */
export async function flush(path) {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const handle = __addDisposableResource(env_1, await open(path, "r"), true);
        await handle.sync();
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
/** @throws LowrankError E_WRITE naming the file */
export async function writeTextFile(file, text) {
    try {
        await writeFile(file, text, { flush: true });
    }
    catch (error) {
        throw writeError(error, file);
    }
}
/** JSON as Hugging Face's libraries write it: sorted keys, two spaces. */
export function sortedJson(value) {
    const sorted = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    return `${JSON.stringify(sorted, null, 2)}\n`;
}
/** Copies files, of the disk or of a GGUF file's tokenizer, into a folder under their own names. @throws LowrankError E_FILE, E_WRITE */
export async function copyInto(folder, files) {
    for (const file of files) {
        const target = join(folder, basename(file));
        const text = ggufFile(file);
        if (text === undefined)
            closeSync(openRegular(file));
        try {
            if (text === undefined)
                await copyFile(file, target);
            else
                await writeFile(target, text);
            await flush(target);
        }
        catch (error) {
            throw writeError(error, target);
        }
    }
}
/** @throws LowrankError E_WRITE */
export async function makeFolder(folder) {
    try {
        await mkdir(folder, { recursive: true }).catch((error) => {
            // Node says so of causes that it does not know; the plain call names them.
            if (error.code !== "ENOENT")
                throw error;
            return mkdir(folder);
        });
    }
    catch (error) {
        throw writeError(error, folder);
    }
}
/** The hidden name beside `folder` under which it is written or taken away. */
export function hiddenName(folder, suffix) {
    return join(dirname(folder), `.${basename(folder)}.${suffix}`);
}
/** Fills a new temporary folder and flushes all of it. */
async function fill(temporary, write) {
    await rm(temporary, { recursive: true, force: true });
    await makeFolder(temporary);
    await write(temporary);
    for (const entry of await readdir(temporary, { recursive: true }))
        await flush(join(temporary, entry));
    await flush(temporary);
}
/**
 * Makes `folder` of what `write` puts into a temporary folder beside it; a folder of that name is replaced. Where
 * anything fails the temporary folder is removed and `folder` is what it was.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function writeFolder(folder, write) {
    const temporary = hiddenName(folder, "tmp");
    const old = hiddenName(folder, "old");
    let wasThere = false;
    let isPlaced = false;
    try {
        await fill(temporary, write);
        wasThere = await moveAway(folder);
        await rename(temporary, folder);
        isPlaced = true;
        await flush(dirname(folder));
    }
    catch (error) {
        try {
            if (isPlaced)
                await rename(folder, temporary);
            if (wasThere)
                await rename(old, folder);
            await rm(temporary, { recursive: true, force: true });
        }
        catch {
            // Both folders stay under their hidden names, from which the old one is recovered.
        }
        throw writeError(error, folder);
    }
    // What cannot be removed now is removed before the name is needed again.
    await rm(old, { recursive: true, force: true }).catch(() => { });
}
/**
 * Puts the files that `write` makes into a folder that holds other things too. They are written whole under another name
 * first; `last`, without which the others mean nothing, takes its place after them.
 * @throws LowrankError E_WRITE naming file and cause
 */
export async function replaceFiles(folder, last, write) {
    await makeFolder(folder);
    const temporary = join(folder, STAGED);
    try {
        await fill(temporary, write);
        const others = (await readdir(temporary)).filter((name) => name !== last);
        for (const name of [...others, last])
            await rename(join(temporary, name), join(folder, name));
        await flush(folder);
    }
    catch (error) {
        throw writeError(error, join(folder, last));
    }
    finally {
        await rm(temporary, { recursive: true, force: true }).catch(() => { });
    }
}
/** Renames a folder before it is removed: at no time does it stand there incomplete. @returns whether there was one */
async function moveAway(folder) {
    const old = hiddenName(folder, "old");
    await rm(old, { recursive: true, force: true });
    try {
        await rename(folder, old);
        return true;
    }
    catch (error) {
        if (error.code !== "ENOENT")
            throw error;
        return false;
    }
}
/** Removes a folder that is complete until it is gone. @throws LowrankError E_WRITE */
export async function removeFolder(folder) {
    try {
        await moveAway(folder);
        await rm(hiddenName(folder, "old"), { recursive: true, force: true });
    }
    catch (error) {
        throw writeError(error, folder);
    }
}
/** A folder for a whole model: new, empty or, to be overwritten, one that holds nothing else. @throws LowrankError E_OUTPUT_EXISTS */
export function checkModelOutput(output, overwrite) {
    if (!existsSync(output))
        return;
    const isOurs = (name) => MODEL_CONFIGS.includes(name) || isTokenizerFile(name) || /^model.*\.safetensors(\.index\.json)?$/.test(name);
    const found = readdirSync(output);
    if (found.length === 0 || (overwrite && found.every(isOurs)))
        return;
    const named = found.filter((name) => !overwrite || !isOurs(name)).slice(0, 3);
    throw new LowrankError("E_OUTPUT_EXISTS", `Output folder ${output} is not empty: it holds ${named.join(", ")}. Remove it or choose another.`, output);
}
