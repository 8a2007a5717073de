import { LowrankError } from "../base/errors.js";
import { readEosIds, type Tokenizer } from "../data/index.js";
import { stopIds } from "./adapter.js";

export interface Prompt {
  ids: Int32Array;
  /** The wanted number, or less where the room ends. */
  maxNewTokens: number;
}

/** Tokens of each prompt. @throws LowrankError E_PROMPT where there is none or one is empty, E_CONTEXT; the prompt's number in the message */
export async function readPrompts(
  texts: readonly string[],
  ...rest: [wanted: number, tokenizer: Tokenizer, context: number, limit: string]
): Promise<Prompt[]> {
  if (texts.length === 0) throw new LowrankError("E_PROMPT", "There is no prompt.", "prompt");
  const prompts: Prompt[] = [];
  for (const [i, text] of texts.entries()) {
    try {
      prompts.push(await readPrompt(text, ...rest));
    } catch (error) {
      if (!(error instanceof LowrankError)) throw error;
      throw new LowrankError(error.code, `Prompt ${i + 1} of ${texts.length}: ${error.message}`, error.where);
    }
  }
  return prompts;
}

/**
 * Tokens of a prompt, and the number that may follow.
 * @param context most tokens of prompt and text. @param limit the name of the setting that limits them, for the error
 * @throws LowrankError E_PROMPT, E_CONTEXT
 */
export async function readPrompt(
  text: string,
  wanted: number,
  tokenizer: Tokenizer,
  context: number,
  limit: string,
): Promise<Prompt> {
  // One token more than fits tells a prompt that fills the context from one that was cut.
  const [ids] = await tokenizer.encode([text], { maxLength: context + 1 });
  if (ids === undefined || ids.length === 0) {
    throw new LowrankError("E_PROMPT", "The prompt is empty, expected at least one token.", "prompt");
  }
  if (ids.length >= context) {
    throw new LowrankError(
      "E_CONTEXT",
      `The prompt has ${ids.length > context ? "more than " : ""}${context} tokens, as many as there is room for (${limit} ` +
        `is ${context}): none is left for a continuation. Shorten the prompt.`,
      "prompt",
    );
  }
  return { ids, maxNewTokens: Math.min(wanted, context - ids.length) };
}

interface SamplingRows {
  temperature: number;
  top_k: number;
  top_p: number;
  seed: number;
}

/** How tokens are chosen, and the tokens that end a text. @param folder the base's */
export function samplingOf(o: SamplingRows, tokenizer: Tokenizer, folder: string) {
  const stops = stopIds(readEosIds(folder), tokenizer);
  return { temperature: o.temperature, topK: o.top_k, topP: o.top_p, seed: o.seed, stopIds: stops };
}
