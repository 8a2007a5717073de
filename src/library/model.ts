import { LowrankError } from "../base/errors.js";
import { isAdapterFolder, readAdapter } from "../checkpoint/index.js";
import { shownValue } from "../config/index.js";
import { TokenDataset, type Tokenizer } from "../data/index.js";
import { type Classification, candidateTargets } from "../model/index.js";
import type { Engine, ModelConfig, ModelSource, Precision } from "../native/index.js";
import { chooseDevice, choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase, type QuantType } from "../setup/base.js";
import { type Classified, classifyAll, openClassifier, requireTrained, type TextOrPair } from "../setup/classify.js";
import { adapterFolder, type Located, located, type NamedSources } from "../setup/hub.js";
import {
  evaluating,
  generating,
  type InferenceWork,
  type OpenedBase,
  openForInference,
  tellOtherTokenizer,
} from "../setup/inference.js";
import { readPrompts, samplingOf } from "../setup/prompt.js";
import { openTokenizer, readTokens, tellEnd } from "../setup/texts.js";
import { type Continuation, type Evaluation, evaluateModel, generateTogether } from "../trainer/index.js";
import type { Adapter } from "./adapter.js";
import {
  checkPath,
  checkPrompts,
  checkTexts,
  checkTextsOrPairs,
  loadAdapterOptions,
  modelClassifyOptions,
  modelEvaluateOptions,
  modelGenerateOptions,
  modelGenerateTextsOptions,
  openOptions,
  type Texts,
} from "./arguments.js";
import { type DownloadOptions, fetching } from "./download.js";
import { textSource } from "./items.js";
import { continuation, readRequest, type TextOptions } from "./text.js";

export interface ModelOptions extends DownloadOptions {
  /** seq-cls opens a classifier: the path is the adapter of a run with this task, a model with a trained head, or a model that becomes one by training. */
  task?: "causal-lm" | "seq-cls" | undefined;
  /** Branch, tag or commit of a model of the hub. */
  revision?: string | undefined;
  /** auto, the default, is bf16 for a base stored in 16 bits, else fp32. */
  precision?: "auto" | Precision | undefined;
  /** Worker threads of each of its engines; default one for each core, as far as a container's limit allows. */
  threads?: number | undefined;
  /** auto, the default, is the first GPU that is found, else cpu; cuda or cuda:N is a GPU. */
  device?: string | undefined;
  /** Folder with tokenizer.json, if not the model's. */
  tokenizer?: string | undefined;
  /** Stores the base's linears in 4 or 8 bits, quantised while they are loaded; options of `lowrank train`. */
  use_4bit?: boolean | undefined;
  use_8bit?: boolean | undefined;
  /** nf4 or fp4 in 4 bits, int8 or llm_int8 in 8 bits; the latter two also for a base that is stored in int8. */
  quant_type?: QuantType | undefined;
  double_quant?: boolean | undefined;
  /** Modules that are not quantised, such as "down_proj". */
  quantize_skip?: string | string[] | undefined;
  /** The head is quantised, too. */
  quantize_head?: boolean | undefined;
  /** Gradients of linears in int8 or llm_int8 are rounded to 8 bits. Default none. */
  int8_backward?: "none" | "nearest" | "stochastic" | undefined;
  /** Leaves the weights in the page cache, shared with other processes; else they may be copied, see docs/memory.md. */
  share_weights?: boolean | undefined;
}

const emitWarning = (message: string) => process.emitWarning(message);

/**
 * @param path folder of a PEFT adapter, or OWNER/NAME or OWNER/NAME@REVISION of the hub
 * @throws LowrankError where it is no adapter, or one of another model; E_HUB_...; or the signal's reason
 */
export async function loadAdapter(model: Model, path: string, options: DownloadOptions = {}): Promise<Adapter> {
  checkModel(model, "loadAdapter");
  checkPath(path, "loadAdapter", "the adapter");
  const folder = await adapterFolder(path, fetching(loadAdapterOptions(options), emitWarning));
  const adapter = readAdapter(folder, model.source);
  await tellTokenizer(model, folder);
  return { folder, ...adapter };
}

export interface ModelClassifyOptions {
  /** Texts of a batch; default 8. */
  batch_size?: number | undefined;
  /** Longest text in tokens; default 512. */
  max_seq_length?: number | undefined;
  /** Side that is cut off longer texts; default the tokenizer's. */
  truncation_side?: "left" | "right" | undefined;
}

export interface ModelGenerateTextsOptions extends TextOptions {
  adapter?: Adapter | undefined;
  /** Texts that go through the model together; default 8. */
  batch_size?: number | undefined;
}

export interface ModelEvaluateOptions {
  adapter?: Adapter | undefined;
  /** Texts of a batch; default 8. */
  batch_size?: number | undefined;
  /** Longest example in tokens; default 512. */
  max_seq_length?: number | undefined;
  /** Treatment of longer texts; default truncate. */
  long_text?: "truncate" | "chunk" | undefined;
  /** Whether each text ends with the tokenizer's end token; default true, as in training. */
  add_eos?: boolean | undefined;
  cache_dir?: string | undefined;
  cache_limit_gb?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A trainer, for the model that it is made from. */
interface Closable {
  close(): Promise<void>;
}

/** Trainers tell a model when they are made, and by the function that this returns when they are closed. */
export let register: (model: Model, trainer: Closable, method: string) => () => void;
let isModel: (value: unknown) => value is Model;
let checkOpen: (model: Model, method: string) => void;
/** Warns where an adapter's folder has another tokenizer than the model, and the program named none. */
let tellTokenizer: (model: Model, adapter: string) => Promise<void>;
/** The model as a classifier for other labels. */
export let asClassifier: (model: Model, asked: Classification) => ModelSource;

/** @throws LowrankError E_ARGUMENT where it is none, E_CLOSED where it is closed */
export function checkModel(model: unknown, method: string): asserts model is Model {
  if (isModel(model)) return checkOpen(model, method);
  const message = `${method}: expected a Model, as Model.open gives it, found ${shownValue(model)}.`;
  throw new LowrankError("E_ARGUMENT", message, "model");
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
  /** "cpu", or the name of a GPU, such as "cuda:0". */
  readonly device: string;
  readonly sharesWeights: boolean;
  readonly #trainers = new Set<Closable>();
  /** The adapter of a classifier that was opened by it. */
  readonly #classifier: OpenedBase["adapter"];
  readonly #reopen: (asked: Classification) => ModelSource;
  /** The base, by its name or folder, where its own tokenizer was taken. */
  readonly #tokenizerOf: string | undefined;
  #closed = false;

  static {
    register = (model, trainer, method) => {
      model.#check(method);
      model.#trainers.add(trainer);
      return () => model.#trainers.delete(trainer);
    };
    checkOpen = (model, method) => model.#check(method);
    asClassifier = (model, asked) => model.#reopen(asked);
    tellTokenizer = async (model, adapter) => {
      const [base, remedy] = [model.#tokenizerOf, `Model.open with tokenizer: ${JSON.stringify(adapter)}`];
      if (base !== undefined) await tellOtherTokenizer(model.tokenizer, { adapter, base, remedy }, emitWarning);
    };
    isModel = (value): value is Model => typeof value === "object" && value !== null && #trainers in value;
  }

  private constructor(
    given: Pick<Model, "source" | "tokenizer" | "precision" | "threads" | "device" | "sharesWeights">,
    { base_model, tokenizer_name, origin }: Pick<Located<NamedSources>, "base_model" | "tokenizer_name" | "origin">,
    reopen: (asked: Classification) => ModelSource,
    classifier: OpenedBase["adapter"] = null,
  ) {
    this.#tokenizerOf = tokenizer_name === undefined ? (origin?.name ?? base_model) : undefined;
    this.#classifier = classifier;
    this.#reopen = reopen;
    this.source = given.source;
    this.tokenizer = given.tokenizer;
    this.precision = given.precision;
    this.threads = given.threads;
    this.device = given.device;
    this.sharesWeights = given.sharesWeights;
  }

  /**
   * @param path folder of a Hugging Face model (config.json, safetensors, tokenizer.json), GGUF file, or OWNER/NAME or
   * OWNER/NAME@REVISION of the hub, which is downloaded where it is not in the cache
   * @throws LowrankError naming file, key or tensor; E_HUB_...; or the signal's reason
   */
  static async open(path: string, options: ModelOptions = {}): Promise<Model> {
    checkPath(path, "Model.open", "the model");
    const { signal, on_download, task, ...wanted } = openOptions(options);
    const warn = emitWarning;
    const from = fetching({ signal, on_download }, warn);
    if (task === "seq-cls") {
      const named = isAdapterFolder(path)
        ? { adapter: path, base_model: undefined }
        : { adapter: undefined, base_model: path };
      const o = await located({ ...wanted, ...named }, from);
      const { model: source, adapter, ...machine } = openClassifier(o, warn);
      const tokenizer = await openTokenizer(o, warn);
      const given = { source, tokenizer, ...machine, sharesWeights: o.share_weights };
      const model = new Model(given, o, (asked) => openBase(o, warn, asked), adapter);
      if (o.adapter !== undefined) await tellTokenizer(model, o.adapter);
      return model;
    }
    const o = await located({ base_model: path, ...wanted }, from);
    const { precision, threads, device, share_weights } = o;
    const source = openBase(o, warn);
    const tokenizer = await openTokenizer(o, warn);
    const given = {
      source,
      tokenizer,
      precision: choosePrecision(precision, source),
      threads: threadCount(threads, warn),
      device: chooseDevice(device),
    };
    return new Model({ ...given, sharesWeights: share_weights }, o, (asked) => openBase(o, warn, asked));
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
    options: TextOptions & { adapter?: Adapter | undefined } = {},
  ): AsyncGenerator<string> {
    this.#check("generate");
    const { adapter, ...wanted } = modelGenerateOptions(options);
    const { maxPositions } = this.config;
    const read = await readRequest(prompt, wanted, this.tokenizer, maxPositions, "max_position_embeddings");
    await using engine = await this.#engine(adapter, generating([read]));
    yield* continuation(engine, this.tokenizer, this.folder, read);
  }

  /**
   * The texts that follow some prompts, in their order; the texts of a batch go through the model together. Each is the text of `generate` with the
   * seed of its place: the given one and the numbers after it.
   */
  async *generateTexts(
    prompts: readonly string[],
    options: ModelGenerateTextsOptions = {},
  ): AsyncGenerator<Continuation> {
    this.#check("generateTexts");
    const { adapter, batch_size, ...o } = modelGenerateTextsOptions(options);
    checkPrompts(prompts, "model.generateTexts");
    const { maxPositions } = this.config;
    const read = await readPrompts(prompts, o.max_new_tokens, this.tokenizer, maxPositions, "max_position_embeddings");
    const texts = Math.min(batch_size, read.length);
    await using engine = await this.#engine(adapter, generating(read, texts));
    yield* generateTogether(engine, this.tokenizer, {
      ...samplingOf(o, this.tokenizer, this.folder),
      signal: o.signal,
      prompts: read,
      texts,
    });
  }

  /** Loss and perplexity on texts. @throws the signal's reason where it is raised */
  async evaluate(texts: Texts, options: ModelEvaluateOptions = {}): Promise<Evaluation> {
    this.#check("evaluate");
    checkTexts(texts, "model.evaluate");
    const { adapter, batch_size, signal, ...rest } = modelEvaluateOptions(options);
    const { max_seq_length: sequence } = rest;
    const from = textSource(texts, "texts");
    const warn = (message: string) => process.emitWarning(message);
    tellEnd(rest, this.tokenizer, from.render, { warn });
    const o = { ...rest, threads: this.threads };
    const { table, examples } = await readTokens(from, this.tokenizer, this.config.vocabSize, o, { signal, warn });
    const batchSize = Math.min(batch_size, examples.length);
    await using engine = await this.#engine(adapter, evaluating(batchSize, sequence, this.sharesWeights));
    const dataset = new TokenDataset(table, examples);
    return (await evaluateModel(engine, dataset, { batchSize, abort: signal }))!;
  }

  /**
   * The classes of texts, or of pairs of texts, of a model that was opened with `task: "seq-cls"`.
   * @throws LowrankError E_STATE where it was not, E_TENSOR_MISSING where it has no trained head, E_PROMPT where a text is empty
   */
  async classify(texts: readonly TextOrPair[], options: ModelClassifyOptions = {}): Promise<Classified[]> {
    this.#check("classify");
    checkTextsOrPairs(texts, "model.classify");
    const { batch_size: batchSize, max_seq_length, truncation_side: side } = modelClassifyOptions(options);
    const { classifier, maxPositions } = this.config;
    if (!classifier) throw new LowrankError("E_STATE", 'classify: open the model with task: "seq-cls".', "task");
    const maxLength = Math.min(max_seq_length, maxPositions);
    const { source: model, precision, threads, device } = this;
    const base = { model, precision, threads, device, adapter: this.#classifier };
    requireTrained(base);
    await using engine = await openForInference(base, evaluating(batchSize, maxLength, this.sharesWeights));
    return await classifyAll(engine, this.tokenizer, classifier, texts, { batchSize, maxLength, side });
  }

  #engine(adapter: Adapter | undefined, work: InferenceWork): Promise<Engine> {
    const { source: model, precision, threads, device } = this;
    return openForInference({ model, precision, threads, device, adapter: adapter ?? null }, work);
  }

  #check(method: string): void {
    if (this.#closed) throw new LowrankError("E_CLOSED", `${method}: the model is closed.`);
  }

  /** Closes its trainers. Calls of `generate` and `evaluate` in progress go on to their end. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#trainers].map((trainer) => trainer.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
