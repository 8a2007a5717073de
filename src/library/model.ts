import { readAdapter } from "../checkpoint/index.js";
import { TokenDataset, Tokenizer } from "../data/index.js";
import {
  type AdapterSpec,
  type AdapterTensors,
  Engine,
  type ModelConfig,
  type ModelSource,
  PRECISIONS,
  type Precision,
} from "../engine.js";
import { LowrankError } from "../errors.js";
import { candidateTargets, type ResolvedTargets } from "../model/index.js";
import { openBase, type QuantType } from "../setup/base.js";
import { inferencePlan } from "../setup/inference-memory.js";
import { choosePrecision, threadCount } from "../setup/inputs.js";
import { everyExample, readTokens } from "../setup/token-texts.js";
import { type Evaluation, evaluate } from "../trainer/index.js";
import { checkOptions, type Texts } from "./options.js";
import { continuation, readRequest, type TextOptions } from "./text.js";
import type { Trainer } from "./trainer.js";

export interface ModelOptions {
  /** auto, the default, is bf16 for a base stored in 16 bits, else fp32. */
  precision?: "auto" | Precision;
  /** Worker threads of each of its engines; default all processors. */
  threads?: number;
  /** Folder with tokenizer.json, if not the model's. */
  tokenizer?: string;
  /** Stores the base's linears in 4 or 8 bits, quantised while they are loaded; options of `lowrank train`. */
  use_4bit?: boolean;
  use_8bit?: boolean;
  /** Of 4 bits nf4 or fp4, of 8 bits int8 or llm_int8; the latter two also for a base that is stored in int8. */
  quant_type?: QuantType;
  double_quant?: boolean;
  /** Modules that are not quantised, such as "down_proj". */
  quantize_skip?: string[];
  /** The head is quantised, too. */
  quantize_head?: boolean;
  /** Leaves the weights in the page cache, shared with other processes; else they may be copied, see docs/memory.md. */
  share_weights?: boolean;
}

/** An adapter (LoRA) that was read for a model. */
export interface Adapter {
  folder: string;
  spec: AdapterSpec;
  tensors: AdapterTensors;
  targets: ResolvedTargets;
}

/** @throws LowrankError where it is no adapter, or one of another model */
export async function loadAdapter(model: Model, folder: string): Promise<Adapter> {
  return { folder, ...readAdapter(folder, model.source) };
}

export interface ModelEvaluateOptions {
  adapter?: Adapter;
  /** Texts of a batch; default 8. */
  batch_size?: number;
  /** Longer texts are cut to so many tokens; default 512. */
  max_seq_length?: number;
  cache_dir?: string;
  signal?: AbortSignal;
}

/**
 * A base model and its tokenizer. Its weights are mapped, once in the process, for whatever is made from it; they are
 * never changed. Everything else that takes memory is made by each call and each trainer for itself.
 */
export class Model {
  /** The folder as it was read; for `Engine` and the other parts. */
  readonly source: ModelSource;
  readonly tokenizer: Tokenizer;
  readonly precision: Precision;
  readonly threads: number;
  readonly sharesWeights: boolean;
  readonly #trainers = new Set<Trainer>();
  #closed = false;

  private constructor(given: Pick<Model, "source" | "tokenizer" | "precision" | "threads" | "sharesWeights">) {
    this.source = given.source;
    this.tokenizer = given.tokenizer;
    this.precision = given.precision;
    this.threads = given.threads;
    this.sharesWeights = given.sharesWeights;
  }

  /**
   * @param folder of a Hugging Face model: config.json, safetensors, tokenizer.json
   * @throws LowrankError naming file, key or tensor
   */
  static async open(folder: string, options: ModelOptions = {}): Promise<Model> {
    const { precision = "auto", threads } = options;
    if (precision !== "auto" && !PRECISIONS.includes(precision)) {
      const message = `precision is ${precision}, expected auto, ${PRECISIONS.join(", ")}.`;
      throw new LowrankError("E_ARGUMENT", message, "precision");
    }
    if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
      throw new LowrankError("E_ARGUMENT", `threads is ${threads}, expected a whole number from 1 to 1024.`, "threads");
    }
    const { use_4bit = false, use_8bit = false, double_quant = true, quantize_head = false } = options;
    const { quant_type, quantize_skip } = options;
    const wanted = { base_model: folder, use_4bit, use_8bit, quant_type, double_quant, quantize_skip, quantize_head };
    const warn = (message: string) => process.emitWarning(message);
    const source = openBase(wanted, warn);
    const tokenizer = await Tokenizer.open(options.tokenizer ?? folder, warn);
    return new Model({
      ...{ source, tokenizer, precision: choosePrecision(precision, source), threads: threadCount(threads) },
      sharesWeights: options.share_weights ?? false,
    });
  }

  get folder(): string {
    return this.source.folder;
  }

  get config(): ModelConfig {
    return this.source.config;
  }

  /** Names for `target_modules`. */
  get targetModules(): string[] {
    return candidateTargets(this.source);
  }

  /** The text that follows a prompt, piece by piece as it comes. Several may be written at once, each with memory of its own. */
  async *generate(
    prompt: string,
    { adapter, ...options }: TextOptions & { adapter?: Adapter } = {},
  ): AsyncGenerator<string> {
    this.#check("generate");
    const read = await readRequest(
      prompt,
      options,
      this.tokenizer,
      this.config.maxPositions,
      "max_position_embeddings",
    );
    const maxSequence = read.ids.length + read.maxNewTokens;
    await using engine = await this.#engine(adapter, { maxTokens: read.ids.length, maxSequence });
    yield* continuation(engine, this.tokenizer, this.folder, read);
  }

  /** Loss and perplexity on texts. @throws the signal's reason where it is raised */
  async evaluate(texts: Texts, o: ModelEvaluateOptions = {}): Promise<Evaluation> {
    this.#check("evaluate");
    const { options, train } = checkOptions(
      {
        train: texts,
        max_seq_length: o.max_seq_length,
        cache_dir: o.cache_dir,
        per_device_eval_batch_size: o.batch_size,
      },
      this.folder,
    );
    const { table } = await readTokens(
      train,
      this.tokenizer,
      { ...options, threads: this.threads },
      { signal: o.signal },
    );
    const batchSize = Math.max(1, Math.min(options.per_device_eval_batch_size, table.length));
    const sequence = options.max_seq_length;
    const size = { maxTokens: batchSize * sequence, maxSequence: sequence };
    await using engine = await this.#engine(o.adapter, size, !this.sharesWeights);
    const dataset = new TokenDataset(table, everyExample(table));
    return (await evaluate(engine, dataset, { batchSize, abort: o.signal }))!;
  }

  async #engine(
    adapter: Adapter | undefined,
    size: { maxTokens: number; maxSequence: number },
    copies = false,
  ): Promise<Engine> {
    const { source, precision, threads } = this;
    const spec = adapter?.spec ?? null;
    const wanted = { precision, threads, training: false, ...size };
    const options = copies ? inferencePlan({ model: source, adapter: spec, engine: wanted }, true).engine : wanted;
    const engine = await Engine.create(source, spec, options);
    if (adapter) await engine.setAdapter(adapter.tensors);
    return engine;
  }

  /** Trainers tell when they are made and closed. */
  register(trainer: Trainer): () => void {
    this.#check("Trainer.create");
    this.#trainers.add(trainer);
    return () => this.#trainers.delete(trainer);
  }

  #check(method: string): void {
    if (this.#closed) throw new LowrankError("E_CLOSED", `${method}: the model is closed.`);
  }

  /** Closes its trainers. What `generate` and `evaluate` are doing goes on to its end. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#trainers].map((trainer) => trainer.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
