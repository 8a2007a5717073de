// A pipe as a source of texts: <(zcat texts.jsonl.gz), /dev/stdin, a named one. It can be read once; its beginning is kept,
// so that it can be looked at before it is read.
import { createReadStream, statSync } from "node:fs";
import { LowrankError } from "../../base/errors.js";
const CHUNK_BYTES = 1 << 20;
/** Of the beginning. */
const KEPT_BYTES = 1 << 20;
/** Names of descriptors that this process has: what is behind them may be a socket, which has no name to be opened by. */
const DESCRIPTOR = /^\/(?:dev\/stdin|(?:dev|proc\/self)\/fd\/(\d+))$/;
/** Whether a name is that of a pipe, or of a socket that the process was started with in place of one. */
export function isPipe(file) {
    const found = statSync(file, { throwIfNoEntry: false });
    return found !== undefined && (found.isFIFO() || (found.isSocket() && DESCRIPTOR.test(file)));
}
function open(file) {
    const descriptor = DESCRIPTOR.exec(file);
    if (descriptor === null)
        return createReadStream(file, { highWaterMark: CHUNK_BYTES });
    return createReadStream("", { fd: Number(descriptor[1] ?? 0), autoClose: false, highWaterMark: CHUNK_BYTES });
}
class Pipe {
    file;
    /** Opened when it is read first: a pipe without a writer keeps a thread waiting, and some formats are read from files only. */
    #stream;
    #source;
    /** The last of what was read; the chunks before are gone. */
    #chunks = [];
    #gone = 0;
    #bytes = 0;
    /** While a chunk is awaited, by whomever. */
    #next = null;
    constructor(file) {
        this.file = file;
    }
    async #more() {
        this.#stream ??= open(this.file);
        this.#source ??= this.#stream[Symbol.asyncIterator]();
        const { done, value } = await this.#source.next();
        this.#next = null;
        if (done)
            return false;
        this.#chunks.push(value);
        this.#bytes += value.length;
        return true;
    }
    /** From the beginning on. */
    async *read() {
        const { file } = this;
        for (let i = 0;; i++) {
            if (i < this.#gone)
                throw new LowrankError("E_FILE", `Pipe ${file} can be read only once.`, file);
            while (i === this.#gone + this.#chunks.length) {
                this.#next ??= this.#more();
                if (!(await this.#next))
                    return;
            }
            yield this.#chunks[i - this.#gone];
            if (this.#bytes <= KEPT_BYTES)
                continue;
            this.#chunks.splice(0, i + 1 - this.#gone);
            this.#gone = i + 1;
        }
    }
    close() {
        this.#stream?.destroy();
    }
}
/** Those that are being read. */
const pipes = new Map();
/** The bytes of a pipe that `openPipe` has opened. */
export function readPipe(file) {
    return pipes.get(file).read();
}
/** Holds a pipe open, if the file is one, while its bytes are looked at and then read. @returns ends that */
export function openPipe(file) {
    if (!isPipe(file))
        return () => { };
    if (pipes.has(file))
        throw new LowrankError("E_FILE", `Pipe ${file} is being read already.`, file);
    const pipe = new Pipe(file);
    pipes.set(file, pipe);
    return () => {
        pipes.delete(file);
        pipe.close();
    };
}
