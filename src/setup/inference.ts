// The one preparation of whatever evaluates or generates: commands and library.
import { readAdapter } from "../checkpoint/index.js";
import { Tokenizer, tokenizerDifference } from "../data/index.js";
import {
  type AdapterSpec,
  type AdapterTensors,
  Engine,
  type EngineOptions,
  type ModelOrigin,
  type ModelSource,
  type OnLoading,
  type Precision,
} from "../native/index.js";
import { chooseDevice, choosePrecision, threadCount } from "./adapter.js";
import { type BaseOptions, openBase } from "./base.js";
import { planInference } from "./memory/inference.js";
import type { Prompt } from "./prompt.js";

/** A base, with an adapter or without. */
export interface OpenedBase {
  model: ModelSource;
  precision: Precision;
  threads: number;
  device: string;
  adapter: { spec: AdapterSpec; tensors: AdapterTensors } | null;
}

export interface OpeningOptions extends BaseOptions {
  adapter: string | undefined;
  precision: Precision | "auto";
  threads: number | undefined;
  device: string;
}

/** Reads the base and the adapter that options name. @throws LowrankError */
export function openWithAdapter(o: OpeningOptions, warn: (message: string) => void): OpenedBase {
  const model = openBase(o, warn);
  const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
  const machine = { threads: threadCount(o.threads, warn), device: chooseDevice(o.device) };
  return { model, precision: choosePrecision(o.precision, model), ...machine, adapter };
}

/** Warns where the base's tokenizer is taken and the adapter's folder holds another one. @param remedy the way to take that */
export async function tellOtherTokenizer(
  tokenizer: Tokenizer,
  { adapter, base, remedy }: { adapter: string; base: string; remedy: string },
  warn: (message: string) => void,
): Promise<void> {
  const difference = await tokenizerDifference(tokenizer, adapter);
  if (difference === undefined) return;
  warn(
    `the tokenizer of ${base} is taken, but the adapter ${adapter} holds another one, which it was probably trained with: ${difference}. ${remedy} takes the adapter's.`,
  );
}

/** The tokenizer that is named, else the base's, for a base with an adapter or without. @throws LowrankError */
export async function openTokenizerFor(
  o: {
    base_model: string;
    tokenizer_name: string | undefined;
    adapter?: string | undefined;
    origin?: ModelOrigin | undefined;
  },
  warn: (message: string) => void,
): Promise<Tokenizer> {
  const { base_model, tokenizer_name, adapter, origin } = o;
  const tokenizer = await Tokenizer.open(tokenizer_name ?? base_model, warn);
  if (adapter !== undefined && tokenizer_name === undefined) {
    const remedy = `--tokenizer_name ${adapter}`;
    await tellOtherTokenizer(tokenizer, { adapter, base: origin?.name ?? base_model, remedy }, warn);
  }
  return tokenizer;
}

/** The work that an engine is made for. */
export interface InferenceWork {
  /** The work in words for the refusal, and the remedy. */
  what: string;
  advice: string;
  size: Pick<EngineOptions, "maxTokens" | "maxSequence" | "cacheTokens" | "texts">;
  /**
   * Whether the weights are copied where they fit beside the other items; a short text would be done before the copy.
   */
  copies: boolean;
}

/** @param sequence longest text, in tokens. @param sharesWeights whether the weights stay in the page cache */
export function evaluating(batchSize: number, sequence: number, sharesWeights: boolean): InferenceWork {
  return {
    what: "Evaluating",
    advice: "Use a smaller --per_device_eval_batch_size or --max_seq_length.",
    size: { maxTokens: batchSize * sequence, maxSequence: sequence, cacheTokens: 0 },
    copies: !sharesWeights,
  };
}

/** @param texts texts in progress at a time */
export function generating(prompts: readonly Prompt[], texts = 1): InferenceWork {
  const size = {
    maxTokens: Math.max(...prompts.map(({ ids }) => ids.length)),
    maxSequence: Math.max(...prompts.map(({ ids, maxNewTokens }) => ids.length + maxNewTokens)),
    texts,
  };
  const fewer = texts > 1 ? ", a smaller --per_device_eval_batch_size" : "";
  const advice = `Use a smaller --max_new_tokens${fewer} or a shorter prompt.`;
  return { what: "Generating", advice, size, copies: false };
}

/** An engine that holds the base and its adapter. @throws LowrankError E_MEMORY where it does not fit */
export async function openForInference(
  { model, precision, threads, device, adapter }: OpenedBase,
  { size, ...about }: InferenceWork,
  onLoading?: OnLoading,
): Promise<Engine> {
  const spec = adapter?.spec ?? null;
  const wanted = { precision, threads, device, training: false, ...size };
  const { engine: options } = planInference({ model, adapter: spec, engine: wanted }, about);
  const engine = await Engine.create(model, spec, options, onLoading);
  try {
    if (adapter) await engine.setAdapter(adapter.tensors);
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}
