import type { Tokenizer } from "../data/index.js";
import type { AdapterEngine, SamplingOptions } from "../native/index.js";
import type { TrainerEvent } from "./events.js";

export interface GenerationOptions extends SamplingOptions {
  maxNewTokens: number;
  /** Tokens that end a text; they are not part of it. */
  stopIds: ReadonlySet<number>;
  signal?: AbortSignal | undefined;
  onToken?: () => void;
}

/** How a text came to its end. */
export interface Ending {
  /** Tokens of the text. */
  tokens: number;
  /** The token that ended it; null where the length or the signal did. */
  stop: number | null;
}

/** The model's continuation of a prompt, piece by piece as it comes. */
export async function* generate(
  engine: AdapterEngine,
  tokenizer: Tokenizer,
  prompt: Int32Array,
  options: GenerationOptions,
): AsyncGenerator<string, Ending> {
  const stream = tokenizer.stream();
  let token = await engine.generateStart(prompt, options);
  let n = 0;
  while (!options.stopIds.has(token)) {
    n++;
    options.onToken?.();
    const piece = stream.push(token);
    if (piece) yield piece;
    if (n === options.maxNewTokens || options.signal?.aborted) break;
    token = await engine.generateNext(token);
  }
  const rest = stream.end();
  if (rest) yield rest;
  return { tokens: n, stop: options.stopIds.has(token) ? token : null };
}

/** Tokens of a validation text that a sample starts from, and how its continuation is chosen. */
export const SAMPLE = { promptTokens: 50, temperature: 0.7, topP: 0.95 };

export interface SampleOptions {
  /** Beginnings of texts. */
  prompts: Int32Array[];
  seed: number;
  maxNewTokens: number;
  /** Longest text that the engine can hold. */
  maxSequence: number;
  stopIds: ReadonlySet<number>;
  /** The base alone, where it writes each text, too. */
  base?: AdapterEngine | undefined;
  /** Ends the sample at the next token, and begins none. */
  signal?: AbortSignal | undefined;
}

/** The seed of the i-th sample; after the largest one comes 0. */
export function seedOf(seed: number, i: number): number {
  const left = Number.MAX_SAFE_INTEGER - seed;
  return i <= left ? seed + i : i - left - 1;
}

type SampleEvent = Extract<TrainerEvent, { type: "sampling" | "sample" }>;

/** Continuations of the beginnings of some texts, and how far they are. */
export async function* samples(
  engine: AdapterEngine,
  tokenizer: Tokenizer,
  options: SampleOptions,
): AsyncGenerator<SampleEvent> {
  const { seed, maxSequence, stopIds, signal } = options;
  const prompts = options.prompts
    .map((beginning) => beginning.subarray(0, Math.min(SAMPLE.promptTokens, maxSequence - 1)))
    .filter((prompt) => prompt.length > 0);
  const most = prompts.map((prompt) => Math.min(options.maxNewTokens, maxSequence - prompt.length));
  const writers = options.base ? [options.base, engine] : [engine];
  const total = writers.length * most.reduce((sum, tokens) => sum + tokens, 0);
  let done = 0;
  for (const [i, prompt] of prompts.entries()) {
    if (signal?.aborted) return;
    const maxNewTokens = most[i]!;
    const { temperature, topP } = SAMPLE;
    const texts: string[] = [];
    for (const writer of writers) {
      let tokens = 0;
      const onToken = () => {
        tokens++;
      };
      const how = { temperature, topP, topK: 0, seed: seedOf(seed, i) };
      let text = "";
      for await (const piece of generate(writer, tokenizer, prompt, {
        ...how,
        maxNewTokens,
        stopIds,
        signal,
        onToken,
      })) {
        text += piece;
        yield { type: "sampling", done: done + tokens, total };
      }
      done += maxNewTokens;
      texts.push(text);
    }
    const written = texts.length === 1 ? { text: texts[0]! } : { base_text: texts[0]!, text: texts[1]! };
    yield { type: "sample", sample: { prompt: tokenizer.decode(prompt, { skipSpecialTokens: true }), ...written } };
  }
}
