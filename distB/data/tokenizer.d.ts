import type { Warn } from "../model/index.js";
import type { TextEnd } from "./text-end.js";
import { TokenStream } from "./token-stream.js";
export declare class Tokenizer {
    #private;
    /** tokenizer.json; of a GGUF file one in memory, see `ggufFile` */
    readonly file: string;
    /** Paths of the files that exist, to copy beside an adapter with `copyInto`. */
    readonly files: string[];
    private constructor();
    /**
     * @param path tokenizer.json or its folder
     * @throws LowrankError E_FILE_MISSING, E_FILE, E_TOKENIZER
     */
    static open(path: string, warn?: Warn): Promise<Tokenizer>;
    /** Of the files that decide how texts become tokens. */
    get sha256(): string;
    get vocabSize(): number;
    /** Ids from this one on, with their tokens, in order. */
    tokensFrom(least: number): [number, string][];
    get bosTokenId(): number | undefined;
    get eosTokenId(): number | undefined;
    /** Text of the end token; undefined where the tokenizer has none. */
    get eosToken(): string | undefined;
    get padTokenId(): number | undefined;
    /**
     * Token ids with the special tokens that tokenizer.json adds, cut to `maxLength` (undefined: not cut) as transformers
     * does with `truncation=True`: the special tokens stay, the text between them is cut. Runs in the package's own threads.
     */
    encode(texts: string[], { maxLength }: {
        maxLength: number | undefined;
    }): Promise<Int32Array[]>;
    /** How texts get the end token; null where the tokenizer names none, or puts it after every text itself. */
    textEnd(): Promise<TextEnd | null>;
    /** Text of tokens; ids outside the vocabulary have none. */
    decode(ids: ArrayLike<number>, { skipSpecialTokens }: {
        skipSpecialTokens: boolean;
    }): string;
    /** Text of tokens as they come. */
    stream(options?: {
        skipSpecialTokens: boolean;
    }): TokenStream;
}
