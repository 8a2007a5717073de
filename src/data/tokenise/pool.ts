// Blocks of rows to blocks of tokens, on every core once there is enough to do.
import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type Renderer, type RenderSpec, RowProblem, rendererOf } from "../render/index.js";
import type { Tokenizer } from "../tokenizer.js";
import { type Block, type Columns, renderRows, type TokeniseOptions, tokeniseBlock } from "./block.js";
import { COMPARED, QuickEncoder, type QuickPlan } from "./quick-encoder.js";
import { quickPlan } from "./quick-plan.js";

/** Characters from which on starting threads pays off. */
const WORTH_THREADS = 1 << 19;

/** One file of all modules of the thread, where the build has made it (scripts/bundle.mjs): it loads in a third of the time. */
const BUNDLED = new URL("../../chunks/worker.js", import.meta.url);
const WORKER = existsSync(BUNDLED) ? BUNDLED : new URL("./worker.js", import.meta.url);

/** A block is garbage as soon as it is answered: a larger young generation would only hold more of that. */
const LIMITS = { maxYoungGenerationSizeMb: 16 };

export interface Job {
  id: number;
  columns: Columns;
  firstRow: number;
}

/** A block, or the problem of a row that cannot be rendered. */
export interface Answer {
  id: number;
  block?: Block;
  problem?: { message: string; row: number };
}

/** The first message to a worker. */
export interface Start {
  tokenizer: string;
  render: RenderSpec;
  options: TokeniseOptions;
  /** The plan of the quick encoder; null where it is not to be used. */
  plan: QuickPlan | null;
}

interface Waiting {
  resolve: (block: Block) => void;
  reject: (error: unknown) => void;
}

export class TokeniserPool {
  readonly #tokenizer: Tokenizer;
  readonly #render: RenderSpec;
  readonly #renderer: Renderer;
  readonly #options: TokeniseOptions;
  readonly #threads: number;
  readonly #workers: Worker[] = [];
  #started: Promise<void> | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #characters = 0;
  #next = 0;

  /** @param bytes of the files to come, as far as they are known: large ones start the threads with the first block */
  constructor(tokenizer: Tokenizer, render: RenderSpec, options: TokeniseOptions, threads: number, bytes = 0) {
    this.#tokenizer = tokenizer;
    this.#render = render;
    this.#renderer = rendererOf(render);
    this.#options = options;
    this.#threads = threads;
    if (bytes >= WORTH_THREADS) this.#characters = WORTH_THREADS;
  }

  /** Blocks that may be under way at once: each thread has one to go on with. */
  get capacity(): number {
    return 2 * this.#threads + 1;
  }

  /**
   * @param characters of the rows @param firstRow number of the first row among all
   * @throws RowProblem
   */
  async tokenise(columns: Columns, characters: number, firstRow: number): Promise<Block> {
    this.#characters += characters;
    if (this.#characters < WORTH_THREADS) {
      return tokeniseBlock(this.#tokenizer, this.#renderer, columns, firstRow, this.#options);
    }
    this.#started ??= this.#start(columns, firstRow);
    await this.#started;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const job: Job = { id, columns, firstRow };
      this.#workers[id % this.#workers.length]!.postMessage(job);
    });
  }

  /** @param columns some of the rows to come */
  async #start(columns: Columns, firstRow: number): Promise<void> {
    // They load their code while the plan is made.
    for (let i = 0; i < this.#threads; i++) this.#workers.push(this.#startOne());
    const { file } = this.#tokenizer;
    const options = this.#options;
    // The quick encoder knows no pairs.
    const plan = this.#renderer.classified ? null : quickPlan(file);
    const cut = options.longText === "chunk" ? undefined : options.maxLength;
    const some = columns.map((values) => values.slice(0, COMPARED));
    const texts = (await renderRows(this.#renderer, some, firstRow)).map(({ text }) => text);
    const agrees = plan && (await new QuickEncoder(plan).agrees(this.#tokenizer, texts, { maxLength: cut }));
    const start: Start = { tokenizer: file, render: this.#render, options, plan: agrees ? plan : null };
    for (const worker of this.#workers) worker.postMessage(start);
  }

  #startOne(): Worker {
    // The process's own flags may be for a script that it was given in place of a file: a thread would never start with them.
    const worker = new Worker(WORKER, { resourceLimits: LIMITS, execArgv: [] });
    worker.on("message", ({ id, block, problem }: Answer) => {
      if (block) this.#waiting.get(id)?.resolve(block);
      else this.#waiting.get(id)?.reject(Object.assign(new RowProblem(problem!.message), { row: problem!.row }));
      this.#waiting.delete(id);
    });
    worker.on("error", (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    return worker;
  }

  async close(): Promise<void> {
    await this.#started?.catch(() => {});
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
