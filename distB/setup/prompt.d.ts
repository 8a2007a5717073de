import type { Tokenizer } from "../data/index.js";
export interface Prompt {
    ids: Int32Array;
    /** What was wanted, or as many as there is room for. */
    maxNewTokens: number;
}
/**
 * Tokens of a prompt, and how many may follow.
 * @param context most tokens of prompt and text. @param limit what sets it, for the error
 * @throws LowrankError E_PROMPT, E_CONTEXT
 */
export declare function readPrompt(text: string, wanted: number, tokenizer: Tokenizer, context: number, limit: string): Promise<Prompt>;
