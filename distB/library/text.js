// Text from a prompt, for models and trainers alike.
import { LowrankError } from "../base/errors.js";
import { shownValue } from "../config/index.js";
import { readEosIds } from "../data/index.js";
import { stopIds } from "../setup/adapter.js";
import { readPrompt } from "../setup/prompt.js";
import { generate } from "../trainer/index.js";
/**
 * @param context most tokens of prompt and text. @param limit what sets it
 * @throws LowrankError E_PROMPT, E_CONTEXT
 */
export async function readRequest(text, options, tokenizer, context, limit) {
    if (typeof text !== "string") {
        throw new LowrankError("E_PROMPT", `The prompt is ${shownValue(text)}, expected a string.`, "prompt");
    }
    return { ...(await readPrompt(text, options.max_new_tokens, tokenizer, context, limit)), options };
}
/** The text that follows, piece by piece as it comes. */
export function continuation(engine, tokenizer, folder, { ids, maxNewTokens, options: o }) {
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
