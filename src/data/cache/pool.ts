// Blocks of texts to blocks of tokens, on every core once there is enough to do.
import { Worker } from "node:worker_threads";
import type { BpePlan } from "../bpe/index.js";
import type { Tokenizer } from "../tokenizer.js";
import { type Block, type TokeniseOptions, tokeniseBlock } from "./block.js";
import { QuickEncoder, quickPlan } from "./encode.js";

/** Characters from which on starting threads pays off. */
const WORTH_THREADS = 1 << 19;

/** A block is garbage as soon as it is answered: a larger young generation would only hold more of that. */
const LIMITS = { maxYoungGenerationSizeMb: 16 };

export interface Job {
  id: number;
  texts: string[];
  firstRow: number;
}

export interface Answer {
  id: number;
  block: Block;
}

/** What a worker is started with. */
export interface Start {
  tokenizer: string;
  options: TokeniseOptions;
  /** Of the quick way; null where it is not to be taken. */
  plan: BpePlan | null;
}

interface Waiting {
  resolve: (block: Block) => void;
  reject: (error: unknown) => void;
}

export class TokeniserPool {
  readonly #tokenizer: Tokenizer;
  readonly #options: TokeniseOptions;
  readonly #threads: number;
  #workers: Promise<Worker[]> | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #characters = 0;
  #next = 0;

  constructor(tokenizer: Tokenizer, options: TokeniseOptions, threads: number) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#threads = threads;
  }

  /** Blocks that may be under way at once: each thread has one to go on with. */
  get capacity(): number {
    return 2 * this.#threads + 1;
  }

  /** @param firstRow number of the first text among all */
  async tokenise(texts: string[], firstRow: number): Promise<Block> {
    this.#characters += texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#characters < WORTH_THREADS) return tokeniseBlock(this.#tokenizer, texts, firstRow, this.#options);
    this.#workers ??= this.#start(texts);
    const workers = await this.#workers;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const job: Job = { id, texts, firstRow };
      workers[id % workers.length]!.postMessage(job);
    });
  }

  /** @param texts some of those to come */
  async #start(texts: string[]): Promise<Worker[]> {
    const { file } = this.#tokenizer;
    const options = this.#options;
    const plan = quickPlan(file);
    const cut = options.longText === "chunk" ? undefined : options.maxLength;
    const agrees = plan && (await new QuickEncoder(plan, file).agrees(this.#tokenizer, texts, { maxLength: cut }));
    const start: Start = { tokenizer: file, options, plan: agrees ? plan : null };
    return Array.from({ length: this.#threads }, () => this.#startOne(start));
  }

  #startOne(workerData: Start): Worker {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData, resourceLimits: LIMITS });
    worker.on("message", ({ id, block }: Answer) => {
      this.#waiting.get(id)?.resolve(block);
      this.#waiting.delete(id);
    });
    worker.on("error", (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    return worker;
  }

  async close(): Promise<void> {
    const workers = await this.#workers?.catch(() => []);
    await Promise.all((workers ?? []).map((worker) => worker.terminate()));
  }
}
