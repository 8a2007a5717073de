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
// One cache file: written under a temporary name, flushed, renamed when it is whole.
import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { writeError } from "../../base/system-errors.js";
import { encoder } from "./arrow.js";
import { Checksum } from "./contents.js";
const BUFFERED_BYTES = 4 << 20;
/** A view into more memory cannot be made in every version of Node.js; the last block and the footer come on top. */
const LARGEST_BYTES = 2 ** 32 - 2 ** 28;
/** Temporary names; what a killed process leaves of them is removed with `isLeftover`. */
const TEMPORARY = /^\.writing-(\d+)-[0-9a-f-]+\.tmp$/;
/** Whether a name is that of a file which a process that is no more was writing. */
export function isLeftover(name) {
    const pid = TEMPORARY.exec(name)?.[1];
    if (pid === undefined)
        return false;
    try {
        process.kill(Number(pid), 0);
        return false;
    }
    catch (error) {
        return error.code === "ESRCH";
    }
}
/** A name that `isLeftover` knows once this process is no more. */
export function temporaryName(folder) {
    return join(folder, `.writing-${process.pid}-${randomUUID()}.tmp`);
}
function cacheError(error, file) {
    const found = writeError(error, file);
    if (!(found instanceof LowrankError) || found === error)
        return found;
    const message = `${found.message} Tokenised texts are kept there; name another folder with --cache_dir.`;
    return new LowrankError(found.code, message, file, { cause: error });
}
export class CacheWriter {
    #file;
    #handle;
    #encoder;
    #about;
    #checksum = new Checksum();
    #largestId = -1;
    #pending = [];
    #pendingBytes = 0;
    /** Bytes of the file so far, pending ones included. */
    #bytes = 0;
    constructor(file, handle, encoder, about) {
        this.#file = file;
        this.#handle = handle;
        this.#encoder = encoder;
        this.#about = about;
    }
    /** @throws LowrankError E_WRITE naming the folder or file */
    static async create(folder, about) {
        const encoding = encoder(about);
        const file = temporaryName(folder);
        try {
            await mkdir(folder, { recursive: true });
            return new CacheWriter(file, await open(file, "wx"), await encoding, about);
        }
        catch (error) {
            throw cacheError(error, file);
        }
    }
    /** @throws LowrankError E_WRITE, E_DATA_SIZE */
    async write(block) {
        this.#checksum.add(block);
        for (const id of block.inputIds)
            if (id > this.#largestId)
                this.#largestId = id;
        this.#take(this.#encoder.write(block));
        if (this.#bytes > LARGEST_BYTES) {
            const message = "The tokens of these texts take more than 4 GiB of cache. Train on a part of the files at a time.";
            throw new LowrankError("E_DATA_SIZE", message, this.#file);
        }
        if (this.#pendingBytes >= BUFFERED_BYTES)
            await this.#flush();
    }
    /**
     * Puts the file in its place.
     * @param sha256 of the texts
     * @throws LowrankError E_WRITE; then nothing is left of it
     */
    async finish(target, sha256) {
        try {
            const env_1 = { stack: [], error: void 0, hasError: false };
            try {
                this.#take(this.#encoder.finish());
                await this.#flush();
                await this.#handle.sync();
                await this.#handle.close();
                await rename(this.#file, target);
                const folder = __addDisposableResource(env_1, await open(dirname(target), "r"), true);
                await folder.sync();
                const content = { sha256, largestId: this.#largestId };
                return { ...content, crc32: this.#checksum.end(this.#about, content) };
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
            await this.discard();
            throw cacheError(error, target);
        }
    }
    async discard() {
        await this.#handle.close().catch(() => { });
        await rm(this.#file, { force: true }).catch(() => { });
    }
    #take(chunks) {
        for (const chunk of chunks) {
            this.#pending.push(chunk);
            this.#pendingBytes += chunk.length;
            this.#bytes += chunk.length;
        }
    }
    async #flush() {
        const chunks = this.#pending;
        this.#pending = [];
        this.#pendingBytes = 0;
        try {
            await writeAll(this.#handle, chunks);
        }
        catch (error) {
            throw cacheError(error, this.#file);
        }
    }
}
/** Chunks of one call to the system. */
const VECTORS = 512;
async function writeAll(handle, chunks) {
    for (let from = 0; from < chunks.length; from += VECTORS) {
        let rest = chunks.slice(from, from + VECTORS);
        while (rest.length > 0) {
            let { bytesWritten } = await handle.writev(rest);
            // The system may take a part only.
            rest = rest.flatMap((chunk) => {
                const written = Math.min(bytesWritten, chunk.length);
                bytesWritten -= written;
                return written === chunk.length ? [] : [chunk.subarray(written)];
            });
        }
    }
}
