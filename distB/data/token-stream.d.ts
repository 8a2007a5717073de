/**
 * Text of tokens that come one at a time. A token may end within a UTF-8 character; what is not whole yet waits.
 * The tokens before the new ones are decoded with them, because decoders treat a text's beginning in a special way.
 */
export declare class TokenStream {
    #private;
    constructor(decode: (ids: number[]) => string);
    /** @returns the text that this token completes, possibly none */
    push(id: number): string;
    /** What was still waiting; bytes that never became a character print as U+FFFD. */
    end(): string;
}
