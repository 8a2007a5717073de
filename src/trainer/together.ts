// Several texts at a time: each step of all of them is one pass through the model.
import type { Tokenizer } from "../data/index.js";
import type { Engine, SamplingOptions } from "../native/index.js";
import { type Ending, seedOf } from "./generation.js";

export interface TogetherOptions extends SamplingOptions {
  prompts: readonly { ids: Int32Array; maxNewTokens: number }[];
  /** The texts in progress at a time: the engine's `texts`. */
  texts: number;
  /** Tokens that end a text; they are not part of it. */
  stopIds: ReadonlySet<number>;
  /** Ends at the next token; unfinished texts are not given. */
  signal?: AbortSignal | undefined;
}

export interface Continuation extends Ending {
  text: string;
}

/** A text in progress. */
interface Written {
  prompt: number;
  stream: ReturnType<Tokenizer["stream"]>;
  text: string;
  tokens: number;
  last: number;
}

/** The slot whose prompt has the longest beginning in common with this one. */
function mostAlike(ids: Int32Array, held: ReadonlyMap<number, Int32Array>): number | undefined {
  let best: number | undefined;
  let longest = 0;
  for (const [slot, other] of held) {
    let same = 0;
    while (same < ids.length && same < other.length && ids[same] === other[same]) same++;
    if (same > longest) [best, longest] = [slot, same];
  }
  return best;
}

/**
 * The continuation of every prompt, in the prompts' order: token for token the one of `generate` with the seed of its place
 * (`seedOf`). A text that ends makes room for the next prompt.
 */
export async function* generateTogether(
  engine: Engine,
  tokenizer: Tokenizer,
  { prompts, texts, stopIds, signal, seed, ...sampling }: TogetherOptions,
): AsyncGenerator<Continuation> {
  const slots = new Map<number, Written>();
  const free = Array.from({ length: texts }, (_, slot) => texts - 1 - slot);
  const ended = new Map<number, Continuation>();
  /** The prompt that each slot was given last: its keys and values are there until the next one. */
  const held = new Map<number, Int32Array>();
  let started = 0;
  let given = 0;

  /** Whether the text goes on after the token. */
  const take = (slot: number, written: Written, token: number): boolean => {
    const stops = stopIds.has(token);
    if (!stops) {
      written.text += written.stream.push(token);
      written.tokens++;
      written.last = token;
      if (written.tokens < prompts[written.prompt]!.maxNewTokens) return true;
    }
    const text = written.text + written.stream.end();
    ended.set(written.prompt, { text, tokens: written.tokens, stop: stops ? token : null });
    slots.delete(slot);
    free.push(slot);
    return false;
  };

  while (given < prompts.length && !signal?.aborted) {
    while (free.length > 0 && started < prompts.length) {
      const slot = free.pop()!;
      const prompt = started++;
      const written = { prompt, stream: tokenizer.stream(), text: "", tokens: 0, last: 0 };
      slots.set(slot, written);
      const how = { ...sampling, seed: seedOf(seed, prompt) };
      const { ids } = prompts[prompt]!;
      const like = mostAlike(ids, held);
      held.set(slot, ids);
      take(slot, written, await engine.generateStart(ids, how, 0, slot, like));
      if (signal?.aborted) return;
    }
    if (slots.size > 0) {
      const going = [...slots];
      const tokens = await engine.generateNextOf(
        Int32Array.from(going, ([slot]) => slot),
        Int32Array.from(going, ([, { last }]) => last),
      );
      for (const [i, [slot, written]] of going.entries()) take(slot, written, tokens[i]!);
    }
    for (let next = ended.get(given); next; next = ended.get(given)) {
      ended.delete(given++);
      yield next;
    }
  }
}
