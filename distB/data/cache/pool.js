// Blocks of texts to blocks of tokens, on every core once there is enough to do.
import { Worker } from "node:worker_threads";
import { tokeniseBlock } from "./block.js";
import { QuickEncoder, quickPlan } from "./encode.js";
/** Characters from which on starting threads pays off. */
const WORTH_THREADS = 1 << 19;
/** A block is garbage as soon as it is answered: a larger young generation would only hold more of that. */
const LIMITS = { maxYoungGenerationSizeMb: 16 };
export class TokeniserPool {
    #tokenizer;
    #options;
    #threads;
    #workers;
    #waiting = new Map();
    #characters = 0;
    #next = 0;
    constructor(tokenizer, options, threads) {
        this.#tokenizer = tokenizer;
        this.#options = options;
        this.#threads = threads;
    }
    /** Blocks that may be under way at once: each thread has one to go on with. */
    get capacity() {
        return 2 * this.#threads + 1;
    }
    /** @param firstRow number of the first text among all */
    async tokenise(texts, firstRow) {
        this.#characters += texts.reduce((sum, text) => sum + text.length, 0);
        if (this.#characters < WORTH_THREADS)
            return tokeniseBlock(this.#tokenizer, texts, firstRow, this.#options);
        this.#workers ??= this.#start(texts);
        const workers = await this.#workers;
        const id = this.#next++;
        return new Promise((resolve, reject) => {
            this.#waiting.set(id, { resolve, reject });
            const job = { id, texts, firstRow };
            workers[id % workers.length].postMessage(job);
        });
    }
    /** @param texts some of those to come */
    async #start(texts) {
        const { file } = this.#tokenizer;
        const options = this.#options;
        const plan = quickPlan(file);
        const cut = options.longText === "chunk" ? undefined : options.maxLength;
        const agrees = plan && (await new QuickEncoder(plan, file).agrees(this.#tokenizer, texts, { maxLength: cut }));
        const start = { tokenizer: file, options, plan: agrees ? plan : null };
        return Array.from({ length: this.#threads }, () => this.#startOne(start));
    }
    #startOne(workerData) {
        const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData, resourceLimits: LIMITS });
        worker.on("message", ({ id, block }) => {
            this.#waiting.get(id)?.resolve(block);
            this.#waiting.delete(id);
        });
        worker.on("error", (error) => {
            for (const { reject } of this.#waiting.values())
                reject(error);
            this.#waiting.clear();
        });
        return worker;
    }
    async close() {
        const workers = await this.#workers?.catch(() => []);
        await Promise.all((workers ?? []).map((worker) => worker.terminate()));
    }
}
