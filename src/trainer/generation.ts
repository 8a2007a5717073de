import type { Tokenizer } from "../data/index.js";
import type { Engine, SamplingOptions } from "../engine.js";
import type { Sample } from "./events.js";

export interface GenerationOptions extends SamplingOptions {
  maxNewTokens: number;
  /** Tokens that end a text; they are not part of it. */
  stopIds: ReadonlySet<number>;
  signal?: AbortSignal | undefined;
}

/** How a text came to its end. */
export interface Ending {
  /** Tokens of the text. */
  tokens: number;
  /** The token that ended it; null where the length or the signal did. */
  stop: number | null;
}

/** What the model goes on to write after a prompt, piece by piece as it comes. */
export async function* generate(
  engine: Engine,
  tokenizer: Tokenizer,
  prompt: Int32Array,
  options: GenerationOptions,
): AsyncGenerator<string, Ending> {
  const stream = tokenizer.stream();
  let token = await engine.generateStart(prompt, options);
  let n = 0;
  while (!options.stopIds.has(token)) {
    n++;
    const piece = stream.push(token);
    if (piece) yield piece;
    if (n === options.maxNewTokens || options.signal?.aborted) break;
    token = await engine.generateNext(token);
  }
  const rest = stream.end();
  if (rest) yield rest;
  return { tokens: n, stop: options.stopIds.has(token) ? token : null };
}

/** Tokens of a validation text that a sample starts from, and the most that it adds. */
export const SAMPLE = { count: 3, promptTokens: 50, newTokens: 100, temperature: 0.7, topP: 0.95 };

export interface SampleOptions {
  /** Beginnings of texts. */
  prompts: Int32Array[];
  seed: number;
  /** Longest text that the engine can hold. */
  maxSequence: number;
  stopIds: ReadonlySet<number>;
  signal?: AbortSignal | undefined;
}

/** The seed of the i-th sample; after the largest one comes 0. */
export function seedOf(seed: number, i: number): number {
  const left = Number.MAX_SAFE_INTEGER - seed;
  return i <= left ? seed + i : i - left - 1;
}

/** Continuations of the beginnings of some texts. */
export async function* samples(engine: Engine, tokenizer: Tokenizer, options: SampleOptions): AsyncGenerator<Sample> {
  const { prompts, seed, maxSequence, stopIds, signal } = options;
  for (const [i, beginning] of prompts.entries()) {
    if (signal?.aborted) return;
    const prompt = beginning.subarray(0, Math.min(SAMPLE.promptTokens, maxSequence - 1));
    if (prompt.length === 0) continue;
    const maxNewTokens = Math.min(SAMPLE.newTokens, maxSequence - prompt.length);
    const { temperature, topP } = SAMPLE;
    const sampling = { temperature, topP, topK: 0, seed: seedOf(seed, i), maxNewTokens, stopIds, signal };
    let text = "";
    for await (const piece of generate(engine, tokenizer, prompt, sampling)) text += piece;
    yield { prompt: tokenizer.decode(prompt, { skipSpecialTokens: true }), text };
  }
}
