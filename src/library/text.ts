// Text from a prompt, for models and trainers alike.
import { readEosIds, type Tokenizer } from "../data/index.js";
import type { Engine } from "../engine.js";
import { LowrankError } from "../errors.js";
import { stopIds } from "../setup/inputs.js";
import { type Prompt, readPrompt } from "../setup/prompt.js";
import { generate } from "../trainer/index.js";

/** As the options of `lowrank generate` of the same names. */
export interface TextOptions {
  /** Default 100. */
  max_new_tokens?: number;
  /** 0 always takes the likeliest token; default 0.7. */
  temperature?: number;
  /** 0, the default, is among all tokens. */
  top_k?: number;
  /** 1, the default, is among all tokens. */
  top_p?: number;
  /** Default 42. */
  seed?: number;
  /** Ends the text at the next token. */
  signal?: AbortSignal;
}

const DEFAULTS = { max_new_tokens: 100, temperature: 0.7, top_k: 0, top_p: 1, seed: 42 };

export interface TextRequest extends Prompt {
  options: typeof DEFAULTS & { signal?: AbortSignal };
}

/**
 * @param context most tokens of prompt and text. @param limit what sets it
 * @throws LowrankError E_PROMPT, E_CONTEXT, E_ARGUMENT
 */
export async function readRequest(
  text: string,
  options: TextOptions,
  tokenizer: Tokenizer,
  context: number,
  limit: string,
): Promise<TextRequest> {
  if (typeof text !== "string") throw new LowrankError("E_PROMPT", `The prompt is ${typeof text}, expected a string.`);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const o = { ...DEFAULTS, ...given } as TextRequest["options"];
  const check = (name: keyof typeof DEFAULTS, least: number, whole: boolean) => {
    const value = o[name];
    if (value >= least && (!whole || Number.isInteger(value))) return;
    const expected = `${whole ? "a whole number" : "a number"} of at least ${least}`;
    throw new LowrankError("E_ARGUMENT", `${name} is ${value}, expected ${expected}.`, name);
  };
  check("max_new_tokens", 1, true);
  check("temperature", 0, false);
  check("top_k", 0, true);
  check("seed", 0, true);
  if (!(o.top_p > 0 && o.top_p <= 1)) {
    throw new LowrankError("E_ARGUMENT", `top_p is ${o.top_p}, expected a number above 0 and at most 1.`, "top_p");
  }
  return { ...(await readPrompt(text, o.max_new_tokens, tokenizer, context, limit)), options: o };
}

/** The text that follows, piece by piece as it comes. */
export function continuation(
  engine: Engine,
  tokenizer: Tokenizer,
  folder: string,
  { ids, maxNewTokens, options: o }: TextRequest,
): AsyncGenerator<string> {
  return generate(engine, tokenizer, ids, {
    temperature: o.temperature,
    topK: o.top_k,
    topP: o.top_p,
    seed: o.seed,
    maxNewTokens,
    stopIds: stopIds(readEosIds(folder), tokenizer),
    signal: o.signal,
  });
}
