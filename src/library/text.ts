// Text from a prompt, for models and trainers alike.

import { LowrankError } from "../base/errors.js";
import { shownValue } from "../config/index.js";
import type { Tokenizer } from "../data/index.js";
import type { Engine } from "../native/index.js";
import { type Prompt, readPrompt, samplingOf } from "../setup/prompt.js";
import { generate } from "../trainer/index.js";
import type { TextRequestOptions } from "./arguments.js";

/** Options of the same names as `lowrank generate` has. */
export interface TextOptions {
  /** Default 100. */
  max_new_tokens?: number | undefined;
  /** 0 always takes the likeliest token; default 0.7. */
  temperature?: number | undefined;
  /** 0, the default, is among all tokens. */
  top_k?: number | undefined;
  /** 1, the default, is among all tokens. */
  top_p?: number | undefined;
  /** Default 42. */
  seed?: number | undefined;
  /** Ends the text at the next token. */
  signal?: AbortSignal | undefined;
}

export interface TextRequest extends Prompt {
  options: TextRequestOptions;
}

/**
 * @param context most tokens of prompt and text. @param limit the name of the setting that limits them
 * @throws LowrankError E_PROMPT, E_CONTEXT
 */
export async function readRequest(
  text: unknown,
  options: TextRequestOptions,
  tokenizer: Tokenizer,
  context: number,
  limit: string,
): Promise<TextRequest> {
  if (typeof text !== "string") {
    throw new LowrankError("E_PROMPT", `The prompt is ${shownValue(text)}, expected a string.`, "prompt");
  }
  return { ...(await readPrompt(text, options.max_new_tokens, tokenizer, context, limit)), options };
}

/** The text that follows, piece by piece as it comes. */
export function continuation(
  engine: Engine,
  tokenizer: Tokenizer,
  folder: string,
  { ids, maxNewTokens, options: o }: TextRequest,
): AsyncGenerator<string> {
  return generate(engine, tokenizer, ids, { ...samplingOf(o, tokenizer, folder), maxNewTokens, signal: o.signal });
}
