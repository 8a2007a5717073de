import { type Tokenizer } from "../data/index.js";
import type { Engine } from "../native/index.js";
import { type Prompt } from "../setup/prompt.js";
import type { TextRequestOptions } from "./arguments.js";
/** As the options of `lowrank generate` of the same names. */
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
 * @param context most tokens of prompt and text. @param limit what sets it
 * @throws LowrankError E_PROMPT, E_CONTEXT
 */
export declare function readRequest(text: unknown, options: TextRequestOptions, tokenizer: Tokenizer, context: number, limit: string): Promise<TextRequest>;
/** The text that follows, piece by piece as it comes. */
export declare function continuation(engine: Engine, tokenizer: Tokenizer, folder: string, { ids, maxNewTokens, options: o }: TextRequest): AsyncGenerator<string>;
